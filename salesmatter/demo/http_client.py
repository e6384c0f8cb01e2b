"""JSON client of the demo; a refused request raises the problem detail of the response."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx

from salesmatter.errors import DemoFailed

PAGE_SIZE = 500
TIMEOUT_SECONDS = 60.0


class HttpClient:
    """A client of one server. Every method raises DemoFailed with the problem detail if the request is refused."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # Ignore the machine's proxy settings, because the servers run on this machine.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """Return the resource at `path`."""
        return self._request("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Post a body and return the response."""
        return self._request("POST", path, json=body or {})

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Put a body and return the response."""
        return self._request("PUT", path, json=body)

    def delete(self, path: str) -> None:
        """Delete the resource at `path`."""
        self._request("DELETE", path)

    def upload(self, path: str, name: str, content: bytes, fields: Mapping[str, str] | None = None) -> Any:
        """Post a file as a form and return the response."""
        return self._request("POST", path, files={"file": (name, content, "text/csv")}, data=dict(fields or {}))

    def iterate_pages(self, path: str, **query: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a list, first to last."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, limit=PAGE_SIZE, **query, **cursor)
            yield page["items"]
            if page["nextCursor"] is None:
                return
            cursor = {"cursor": page["nextCursor"]}

    def list_all(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return every item of a list."""
        return [item for page in self.iterate_pages(path, **query) for item in page]

    def _request(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise DemoFailed(
                f"{method} {self._http.base_url.join(path)} failed: {str(error) or 'the connection was closed'}."
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        raise DemoFailed(_describe_refusal(response))


def _describe_refusal(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text[:200]
    return f"{detail} ({response.request.method} {response.request.url.path} answered {response.status_code})"
