"""HTTP as the demo speaks it: JSON in and out, and the server's own sentence when it says no."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx

from salesmatter.errors import DemoFailed

PAGE_SIZE = 500
SECONDS = 60.0


class HttpClient:
    """A client of one server. Every method raises DemoFailed with the problem's detail when the answer is no."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # The machine's proxy settings are not for servers of our own on this machine.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """Return what is at `path`."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Post a body and return the answer."""
        return self._ask("POST", path, json=body or {})

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Put a body and return the answer."""
        return self._ask("PUT", path, json=body)

    def delete(self, path: str) -> None:
        """Delete what is at `path`."""
        self._ask("DELETE", path)

    def upload(self, path: str, name: str, content: bytes, fields: Mapping[str, str] | None = None) -> Any:
        """Post a file as a form and return the answer."""
        return self._ask("POST", path, files={"file": (name, content, "text/csv")}, data=dict(fields or {}))

    def pages(self, path: str, **query: str) -> Iterator[list[dict[str, Any]]]:
        """Return the pages of a list, first to last."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, limit=PAGE_SIZE, **query, **cursor)
            yield page["items"]
            if page["nextCursor"] is None:
                return
            cursor = {"cursor": page["nextCursor"]}

    def all(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return every item of a list."""
        return [item for page in self.pages(path, **query) for item in page]

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise DemoFailed(
                f"{method} {self._http.base_url.join(path)} got no answer: {str(error) or 'cut off'}."
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        raise DemoFailed(_sentence(response))


def _sentence(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text[:200]
    return f"{detail} ({response.request.method} {response.request.url.path} answered {response.status_code})"
