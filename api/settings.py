"""The settings of the API and its worker: read once at start, and passed as arguments."""

from typing import Annotated
from urllib.parse import urlsplit

from limits import RateLimitItem, parse
from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from egress.settings import EgressSettings


class ApiSettings(EgressSettings):
    """Settings of the API and the worker, from environment variables with the prefix SALESMATTER_."""

    secret_key: SecretStr
    """Encrypts provider keys and signs unsubscribe links. Several keys, comma-separated, during a rotation."""
    public_url: str = "http://127.0.0.1:8000"
    """The URL of this API for recipients and Everlytic, used in unsubscribe links and webhook registrations."""
    clock: str | None = None
    """Accelerated business time for demos and simulations: '<real epoch>,<virtual ISO instant>,<speed>'."""
    pool_size: int = 20
    """The most database connections of a process."""
    cors_origins: list[str] = Field(default=[])
    """The origins of pages that may call the API from a browser."""
    max_body_megabytes: int = 300
    """The largest accepted file or message."""
    max_json_megabytes: int = 10
    """The largest accepted JSON body."""
    file_threads: int = Field(default=4, ge=1)
    """The most uploaded files that a process parses at once; a workspace uses at most half of them."""
    message_threads: int = Field(default=4, ge=1)
    """The most received messages that a process parses at once; a workspace uses at most half of them."""
    rate_limit: str = "6000/minute"
    """The rate limit of a key per API process, such as 6000/minute or 20/second; off for no limit."""
    batch_milliseconds: float = 10.0
    """How long claims, results and webhook deliveries are collected before they are stored in one batch."""
    send_concurrency: int = 32
    """The most emails that a worker sends at once."""
    lookup_concurrency: int = Field(default=8, ge=1)
    """The most other calls to Everlytic that a worker makes at once: lookups of sends, registrations of webhooks, and
    mails with another unsubscribe link."""
    mailbox_concurrency: int = Field(default=8, ge=1)
    """The most mailboxes that a worker reads at once."""
    provider_workspace_share: float = Field(default=0.5, gt=0, le=1)
    """The largest share of these places that the calls of one workspace hold, at least one place."""
    provider_host_share: float = Field(default=0.75, gt=0, le=1)
    """The largest share of these places that the calls to one host hold, at least one place."""
    provider_wait_seconds: float = Field(default=2.0, gt=0)
    """How long a job waits for a place before it goes back to the queue for as long."""
    provider_slow_seconds: float = Field(default=20.0, gt=0)
    """An answer of Everlytic that takes longer counts as a failure of Everlytic, after which sending pauses."""
    lookup_max_pages: int = Field(default=100, ge=1)
    """The most pages that a lookup reads of a list of Everlytic."""
    lookup_seconds: float = Field(default=120.0, gt=0)
    """The longest time that a lookup reads a list of Everlytic."""
    draft_concurrency: int = 32
    """The most drafts that a worker writes at once."""
    poll_milliseconds: float = 200.0
    """How often an idle worker polls the queue, and live queries the change log."""
    lost_after_seconds: float = 20.0
    """A worker without a heartbeat for this long is lost, and its jobs are requeued."""
    archive_after_days: float = Field(default=30.0, gt=0)
    """How long a completed or cancelled job is listed before it moves to the archive (business time)."""
    stop_within_seconds: float = 20.0
    """The time in which a worker stops. Jobs that do not end in time are released."""
    reconcile_after_minutes: float = 15.0
    """How long after an unresolved send it is looked up in Everlytic's transaction list (business time)."""
    live_results_per_second: float = 10.0
    """The most results that a live query sends in a second."""
    live_stream_seconds: float = Field(default=900.0, gt=0)
    """The lifetime of a stream. It ends before a proxy closes the connection, and the client reconnects."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """The port on which a worker serves /metrics; not served by default. The API serves /metrics on its own port."""
    metrics_token: SecretStr | None = None
    """The bearer token for /metrics. Without one only this machine may read it."""
    dagster_url: str | None = None
    """The URL of the Dagster UI. The root page links to it. `salesmatter up` sets it."""
    dbt_docs_url: str | None = None
    """The URL of the dbt docs. The root page links to it. `salesmatter up` sets it."""

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
        """The rate limit of a key; None for no limit."""
        return None if self.rate_limit == "off" else parse(self.rate_limit)


class OidcSettings(BaseSettings):
    """The issuer whose tokens the API accepts besides API keys, from OIDC_ISSUER and OIDC_AUDIENCE: both or neither."""

    model_config = SettingsConfigDict(env_prefix="OIDC_", env_file=".env", extra="ignore", env_ignore_empty=True)

    issuer: str | None = None
    """The OpenID Connect issuer, exactly as in the `iss` claim of its tokens."""
    audience: Annotated[str | None, Field(validate_default=True)] = None
    """The value that the `aud` claim of a token must have."""

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
