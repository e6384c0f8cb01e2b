"""A real OpenID Connect issuer in a process of its own: publishes keys, signs what it is told to, rotates its key.

Run as `python -m tests.issuer <port> <folder>`; its keys lie in the folder, so that it is the same
issuer after a restart. It ends when its stdin closes.
"""

import base64
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests import ROOT

AUDIENCE = "salesmatter"
KINDS = ("RS256", "PS256", "ES256", "EdDSA")
CONFIGURATION = "/.well-known/openid-configuration"


@dataclass(slots=True)
class Issuer:
    """A running issuer, its clients, and how to stop and start it."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    control: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10))

    @property
    def url(self) -> str:
        """What its tokens name in `iss`."""
        return f"http://127.0.0.1:{self.port}"

    def sign(self, algorithm: str = "RS256", *, names_key: bool = True, **claims: Any) -> str:
        """Return a token for `ann` signed with the issuer's newest key; a claim set to None is left out."""
        # Tokens are compared with real time: the issuer, which is not ours, dates them.
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600, **claims}
        body = {name: value for name, value in said.items() if value is not None}
        token: str = self.tell("sign", {"algorithm": algorithm, "names_key": names_key, "claims": body})["token"]
        return token

    def rotate(self) -> None:
        """Publish and sign with new keys alone."""
        self.tell("rotate", {})

    def published(self) -> list[dict[str, Any]]:
        """Return the keys it publishes."""
        keys: list[dict[str, Any]] = self.control.get(f"{self.url}/keys").raise_for_status().json()["keys"]
        return keys

    def configure(self, **answers: object) -> None:
        """Replace members of the configuration it publishes; `keys` replaces its key set."""
        self.tell("configure", answers)

    def fetches(self) -> int:
        """Return how often its keys were fetched."""
        counted: int = self.tell("count", {})["fetches"]
        return counted

    def tell(self, what: str, body: object) -> Any:
        """POST something to its control plane."""
        escaped = json.dumps(body)  # half of a character pair too, which UTF-8 could not carry
        return self.control.post(f"{self.url}/__control__/{what}", content=escaped).raise_for_status().json()

    def start(self) -> None:
        """Start it where it was; returns when it answers."""
        command = [sys.executable, "-m", "tests.issuer", str(self.port), str(self.folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the issuer ended with {self.process.wait()} before it was ready"
        self.port = int(line)

    def stop(self) -> None:
        """Stop it; its address refuses connections until it is started again."""
        if self.process is not None:
            self.process.terminate()
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="session")
def issuer_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """One issuer per run."""
    made = Issuer(0, tmp_path_factory.mktemp("issuer"))
    with made.control:
        yield made
    made.stop()


@pytest.fixture
def issuer(issuer_process: Issuer) -> Issuer:
    """The issuer, running and as if it had just been started."""
    if issuer_process.process is None:
        issuer_process.start()
    issuer_process.tell("reset", {})
    return issuer_process


class _State:
    """The issuer's keys, one of each kind, and what it answers otherwise than it should."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url, self._file = url, folder / "issuer.json"
        self.answers: dict[str, Any] = {}
        self.fetches = 0
        if self._file.exists():
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            self.name = stored["name"]
            self.keys = {kind: serialization.load_pem_private_key(pem.encode(), None) for kind, pem in stored["keys"]}
        else:
            self.rotate()

    def rotate(self) -> None:
        """Make new keys and remember them."""
        self.name = uuid.uuid4().hex[:8]
        small = rsa.generate_private_key(65537, 2048)
        self.keys = {
            "RS256": small,
            "PS256": small,
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        }
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        keys = [(kind, key.private_bytes(pem, pkcs8, plain).decode()) for kind, key in self.keys.items()]
        self._file.write_text(json.dumps({"name": self.name, "keys": keys}), encoding="utf-8")

    def key_id(self, kind: str) -> str:
        """Return how the key of a kind is called now."""
        return f"{self.name}-{'RSA' if kind in {'RS256', 'PS256'} else kind}"

    def published(self) -> list[dict[str, Any]]:
        """Return the public keys, as the issuer publishes them."""
        keys = []
        for kind, key in self.keys.items():
            if kind == "PS256":
                continue  # the RSA key again
            as_json = jwt.get_algorithm_by_name(kind).to_jwk(key.public_key(), as_dict=True)
            keys.append({**as_json, "kid": self.key_id(kind), "use": "sig"})
        secret = base64.urlsafe_b64encode(b"a secret of the issuer's that is no public key").decode().rstrip("=")
        return [*keys, {"kty": "oct", "k": secret, "kid": f"{self.name}-oct"}, {"kty": ["strange"], "crv": {}}]

    def answer(self, path: str, body: Any) -> Any:
        """Return what is answered at a path, or None for what is not there."""
        if path == CONFIGURATION:
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.answers}
        if path == "/keys":
            self.fetches += 1
            return {"keys": self.answers.get("keys", self.published())}
        if path == "/__control__/sign":
            kind = body["algorithm"]
            key: Any = self.keys[kind]
            headers = {"kid": self.key_id(kind)} if body["names_key"] else {}
            return {"token": jwt.encode(body["claims"], key, kind, headers=headers)}
        if path == "/__control__/rotate":
            self.rotate()
        if path == "/__control__/configure":
            self.answers = body
        if path == "/__control__/reset":
            self.answers, self.fetches = {}, 0
        return {"fetches": self.fetches} if path.startswith("/__control__/") else None


def _serve(port: int, folder: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            answer = state.answer(self.path, json.loads(self.rfile.read(length)) if length else None)
            data = json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 - the base class looks for this name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        bound = server.server_address[1]
        state = _State(folder, f"http://127.0.0.1:{bound}")
        threading.Thread(target=_stop_with_stdin, args=[server], daemon=True).start()
        sys.stdout.write(f"{bound}\n")
        sys.stdout.flush()
        server.serve_forever()


def _stop_with_stdin(server: ThreadingHTTPServer) -> None:
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]))
