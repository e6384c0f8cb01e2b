"""What a TypeScript front end needs compiles under --strict and works against the service: client and live queries."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import anyio.to_thread
import httpx
import pytest

from api.settings import ApiSettings
from tests.api.conftest import ai_settings, api_key, app, app_client, listener, served, services
from tests.api.conftest import api_settings as usual_settings

__all__ = ["ai_settings", "api_key", "app", "app_client", "listener", "served", "services", "usual_settings"]

SOURCE = Path(__file__).parents[1] / "typescript"
FILES = ("package.json", "package-lock.json", ".npmrc", "tsconfig.json", "client.ts", "follow.ts", "live.ts")
SECONDS = 300

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm, which are not installed here"),
]


def run(folder: Path, *command: str) -> str:
    """Run a program in a folder and return what it says; fails the test with it when it fails."""
    # What the machine's own npm is set up with does not count, except where it fetches packages from.
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def api_settings(usual_settings: ApiSettings) -> ApiSettings:
    """A small process whose streams end soon, so that clients must come back."""
    return usual_settings.model_copy(update={"live_stream_seconds": 0.5})


async def test_a_generated_client_and_live_queries_compile_and_work(
    app_client: httpx.AsyncClient, served: str, api_key: str, tmp_path: Path
) -> None:
    """The generated types say enough for a strict front end, and what they say is what the service does.

    The live query of the documentation ends up with the plain result on a line that is cut again and again.
    """
    for name in FILES:
        shutil.copy(SOURCE / name, tmp_path / name)
    (tmp_path / "openapi.json").write_text(json.dumps((await app_client.get("/openapi.json")).json()))
    node = os.fspath(tmp_path / "node_modules" / ".bin")

    def generate_and_compile() -> None:
        run(tmp_path, "npm", "ci", "--no-audit", "--no-fund")
        run(tmp_path, f"{node}/openapi-typescript", "openapi.json", "-o", "schema.ts")
        run(tmp_path, f"{node}/tsc", "-p", ".")

    await anyio.to_thread.run_sync(generate_and_compile)
    for script, what in (("client.js", "typescript"), ("live.js", "live")):
        said = await anyio.to_thread.run_sync(run, tmp_path, "node", f"built/{script}", served, api_key)
        assert said == f"{what}: all of it holds\n"
