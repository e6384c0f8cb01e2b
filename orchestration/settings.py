"""What the orchestration is told from outside: read once when the definitions load, passed down."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class OrchestrationSettings(BaseSettings):
    """Environment of the definitions; secrets are not here but in `EnvVar`s, which Dagster never shows."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    salesmatter_clock: str | None = None
    """Accelerated business time: '<real epoch>,<virtual ISO instant>,<speed>'; real time when unset."""
    dbt_project_dir: Path = ROOT / "dbt_project"
    """Where the dbt project lies."""
    dbt_target_path: Path = Field(default=ROOT / ".salesmatter" / "dbt")
    """Where dbt keeps its manifest and what it compiles; two checkouts or tests must not share one."""
