"""What the API and its worker are told from outside: read once at the doors, passed down."""

from typing import Annotated
from urllib.parse import urlsplit

from limits import RateLimitItem, parse
from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """Environment of the API and the worker, prefixed SALESMATTER_."""

    model_config = SettingsConfigDict(env_prefix="SALESMATTER_", env_file=".env", extra="ignore", env_ignore_empty=True)

    secret_key: SecretStr
    """Encrypts provider keys and signs unsubscribe links; several, comma-separated, while a key is rotated."""
    public_url: str = "http://127.0.0.1:8000"
    """Where recipients and Everlytic reach this API; part of unsubscribe links and webhook registrations."""
    clock: str | None = None
    """Accelerated business time for demos and simulations: '<real epoch>,<virtual ISO instant>,<speed>'."""
    pool_size: int = 20
    """Database connections a process may hold."""
    cors_origins: list[str] = []
    """Origins whose pages may call the API from a browser."""
    max_body_megabytes: int = 300
    """The largest file or message that is read."""
    max_json_megabytes: int = 10
    """The largest JSON body that is read."""
    rate_limit: str = "6000/minute"
    """How often one key may call one process of the API, such as 6000/minute or 20/second; off for no limit."""
    batch_milliseconds: float = 10.0
    """How long claims, results and webhook deliveries are gathered before they are stored together."""
    send_concurrency: int = 32
    """Emails a worker sends at once."""
    provider_timeout_seconds: float = 60.0
    """How long Everlytic may take to answer before the outcome of a call is taken as unknown."""
    draft_concurrency: int = 32
    """Drafts a worker writes at once."""
    poll_milliseconds: float = 200.0
    """How often an idle worker and live queries look for new work."""
    lost_after_seconds: float = 20.0
    """A worker that has not said for this long that it lives has lost its jobs."""
    archive_after_days: float = Field(default=30.0, gt=0)
    """How long a job that was completed or cancelled is shown, before it moves to the archive (business time)."""
    stop_within_seconds: float = 20.0
    """Within this time a worker that is told to stop is gone: what does not end in time is given back."""
    reconcile_after_minutes: float = 15.0
    """How long after a send of unknown outcome Everlytic's transaction list is asked (business time)."""
    live_results_per_second: float = 10.0
    """The most results a live query is sent in a second."""
    live_stream_seconds: float = Field(default=900.0, gt=0)
    """After this long a stream ends, and its client comes back: before proxies cut the line."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Where a worker serves /metrics; it does not by default. The API serves its own beside everything else."""
    metrics_token: SecretStr | None = None
    """The bearer token that /metrics asks for; without one only this machine may read it."""
    dagster_url: str | None = None
    """Where people find the Dagster UI; linked from the root page when it is set, as `salesmatter up` does."""
    dbt_docs_url: str | None = None
    """Where people find the dbt docs; linked likewise."""

    @field_validator("rate_limit")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        if rate != "off":
            try:
                parse(rate)
            except ValueError as error:
                raise ValueError(f"'{rate}' is not a rate such as 6000/minute, or off") from error
        return rate

    @property
    def request_rate(self) -> RateLimitItem | None:
        """How often one key may call; None for no limit."""
        return None if self.rate_limit == "off" else parse(self.rate_limit)


class OidcSettings(BaseSettings):
    """Whose tokens open the API beside its own keys, prefixed OIDC_; both are set, or neither."""

    model_config = SettingsConfigDict(env_prefix="OIDC_", env_file=".env", extra="ignore", env_ignore_empty=True)

    issuer: str | None = None
    """The OpenID Connect issuer, letter by letter as its tokens name it in `iss`."""
    audience: Annotated[str | None, Field(validate_default=True)] = None
    """What the issuer's tokens must name in `aud` to be meant for this API."""

    @field_validator("issuer")
    @classmethod
    def _is_an_address(cls, issuer: str | None) -> str | None:
        parts = urlsplit(issuer or "")
        if issuer is not None and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.query):
            raise PydanticCustomError("oidc_issuer", "must be a URL such as https://login.example.com/")
        return issuer

    @field_validator("audience")
    @classmethod
    def _comes_with_an_issuer(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if "issuer" in info.data and (audience is None) is not (info.data["issuer"] is None):
            raise PydanticCustomError("oidc_pair", "set both OIDC_ISSUER and OIDC_AUDIENCE, or neither")
        return audience
