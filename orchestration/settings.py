"""Settings of the orchestration, read from the environment when the definitions load."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from egress.settings import EgressSettings

ROOT = Path(__file__).resolve().parent.parent


class OrchestrationSettings(BaseSettings):
    """Environment variables of the definitions; secrets are passed as `EnvVar`s, which Dagster never shows."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    salesmatter_clock: str | None = None
    """Accelerated business time: '<real epoch seconds>,<virtual ISO time>,<speed>'; real time when unset."""
    dbt_project_dir: Path = ROOT / "dbt_project"
    """Folder of the dbt project."""
    dbt_target_path: Path = Field(default=ROOT / ".salesmatter" / "dbt")
    """Folder for dbt's manifest and compiled files; two checkouts or tests must not share one."""
    egress: EgressSettings = Field(default_factory=EgressSettings)
    """The settings of connections to hosts that tenants configure."""
    salesmatter_poll_tenant_pages: int = Field(default=10_000, ge=1)
    """The most pages of one list of Everlytic that are read of a tenant in one run."""
    salesmatter_poll_tenant_seconds: float = Field(default=300.0, gt=0)
    """The longest time that one list of a tenant is read in one run."""
    salesmatter_poll_seconds: float = Field(default=900.0, gt=0)
    """After this time of a run no further tenant is polled."""
