"""Builds the HTTP requests for both Everlytic APIs, without I/O."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from everlytic.models import MESSAGE_HEADER, Address, Mail, WebhookRegistration


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. The headers contain the credentials, so the repr leaves them out."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def encode_basic_auth(username: str, api_key: str) -> str:
    """Return the value of the Authorization header for HTTP Basic."""
    return "Basic " + base64.b64encode(f"{username}:{api_key}".encode()).decode()


def _build_address(address: Address) -> dict[str, str]:
    return {"email": address.email} if address.name is None else {"email": address.email, "name": address.name}


def _drop_empty(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def build_mail_body(mail: Mail) -> dict[str, object]:
    """Return the JSON of a mail for the v1 ``POST mail``."""
    custom = dict(mail.custom_headers)
    if mail.message_id is not None and not any(name.lower() == MESSAGE_HEADER.lower() for name in custom):
        custom[MESSAGE_HEADER] = [mail.message_id]
    body = _drop_empty(html=mail.html, text=mail.text)
    if mail.personalisation is not None:
        body["personalisation_fields"] = {
            "common_fields": mail.personalisation.common,
            "unique_fields": [{address: values} for address, values in mail.personalisation.unique.items()],
        }
    wire = {
        "headers": _drop_empty(
            subject=mail.subject,
            message_id=mail.message_id,
            to=[_build_address(address) for address in mail.to],
            cc=[_build_address(address) for address in mail.cc],
            bcc=[_build_address(address) for address in mail.bcc],
            custom_headers=custom,
            **{"from": None if mail.from_ is None else _build_address(mail.from_)},
            reply_to=None if mail.reply_to is None else _build_address(mail.reply_to),
        ),
        "body": body,
        "options": _drop_empty(
            group_name=mail.group_name,
            template_id=mail.template_id,
            track_opens=mail.track_opens,
            track_links=mail.track_links,
        ),
    }
    if mail.attachments:
        files = [
            _drop_empty(
                filename=file.filename, data=base64.b64encode(file.content).decode(), content_id=file.content_id
            )
            for file in mail.attachments
        ]
        wire["attachments"] = _drop_empty(
            data=files, options=None if mail.track_attachments is None else {"track": mail.track_attachments}
        )
    return {name: part for name, part in wire.items() if part}


def build_webhook_body(registration: WebhookRegistration) -> dict[str, object]:
    """Return the JSON of a registration for the v1 ``POST`` and ``PUT webhooks``."""
    wire: dict[str, object] = {
        "event_types": [str(event_type) for event_type in registration.event_types],
        "url": registration.url,
        "verb": registration.verb,
        "content_type": registration.content_type,
        "field_set": registration.field_set,
        "settings": {"include_html": registration.include_html},
    }
    if registration.username is not None and registration.password is not None:
        wire["auth_type"] = "basic"
        wire["auth_details"] = {
            "username": registration.username,
            "password": registration.password.get_secret_value(),
        }
    return wire


def build_filter_parameters(**filters: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return the query parameters for filters of the tenant API.

    The parameter names are not documented, so each filter is sent in both likely forms, ``x=`` and ``filters[x]=``.
    """
    parameters: dict[str, str] = {}
    for name, value in filters.items():
        if value is None:
            continue
        parts = {"": value} if isinstance(value, str) else {f"[{key}]": text for key, text in value.items()}
        for suffix, text in parts.items():
            parameters[f"{name}{suffix}"] = text
            parameters[f"filters[{name}]{suffix}"] = text
    return parameters


class RequestBuilder:
    """Builds requests for one account: ``transactional_url`` ends in ``/transactional/email/v1``, ``tenant_url`` in
    ``/api/2.0`` (a trailing slash is harmless)."""

    def __init__(self, *, transactional_url: str, tenant_url: str, username: str, api_key: str) -> None:
        self._bases = {"v1": transactional_url.rstrip("/"), "tenant": tenant_url.rstrip("/")}
        self._authorization = encode_basic_auth(username, api_key)

    def __repr__(self) -> str:
        return f"RequestBuilder({self._bases['v1']!r}, {self._bases['tenant']!r})"

    def v1(self, method: str, *path: str, body: object = None, query: Mapping[str, object] | None = None) -> Request:
        """Build a request to the v1 service; path parts are escaped."""
        return self._request(method, self._url("v1", path, query), body)

    def tenant(self, method: str, *path: str, query: Mapping[str, object] | None = None) -> Request:
        """Build a request to the tenant API; path parts are escaped."""
        return self._request(method, self._url("tenant", path, query), None)

    def follow(self, host: str, href: str) -> Request:
        """Build a GET of the link ``href`` on ``host`` ("v1" or "tenant").

        Only the link's path and query are used, so that a response cannot send the credentials to another origin.
        """
        origin, target = urlsplit(self._bases[host]), urlsplit(href)
        url = target._replace(scheme=origin.scheme, netloc=origin.netloc, fragment="").geturl()
        return self._request("GET", url, None)

    def _url(self, host: str, path: tuple[str, ...], query: Mapping[str, object] | None) -> str:
        url = "/".join([self._bases[host], *(quote(part, safe="") for part in path)])
        return f"{url}?{urlencode(query)}" if query else url

    def _request(self, method: str, url: str, body: object) -> Request:
        headers = {"authorization": self._authorization, "accept": "application/json"}
        if body is None:
            return Request(method, url, headers)
        headers["content-type"] = "application/json"
        return Request(method, url, headers, json.dumps(body, separators=(",", ":")).encode())
