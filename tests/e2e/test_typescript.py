"""End-to-end test of the generated TypeScript client and live queries: they compile with --strict and work."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import anyio.to_thread
import httpx
import pytest

from api.settings import ApiSettings
from tests.api.conftest import (
    ai_settings,
    api_key,
    app,
    app_client,
    bound_socket,
    listener,
    open_apps,
    served,
    services,
)
from tests.api.conftest import api_settings as usual_settings
from tests.optional_programs import find_program, skip_reason

__all__ = [
    "ai_settings",
    "api_key",
    "app",
    "app_client",
    "bound_socket",
    "listener",
    "open_apps",
    "served",
    "services",
    "usual_settings",
]

SOURCE = Path(__file__).parents[1] / "typescript"
FILES = ("package.json", "package-lock.json", ".npmrc", "tsconfig.json", "client.ts", "follow.ts", "live.ts")
SECONDS = 300

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_program("npm") is None, reason=skip_reason("npm")),
]


def run(folder: Path, *command: str) -> str:
    """Run a program in a folder and return its output; fail the test with the output if it fails."""
    # The folder's .npmrc replaces the machine's npm settings, except for the registry.
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def api_settings(usual_settings: ApiSettings) -> ApiSettings:
    """Settings with streams that end after half a second, so that clients must reconnect."""
    return usual_settings.model_copy(update={"live_stream_seconds": 0.5})


async def test_a_generated_client_and_live_queries_compile_and_work(
    app_client: httpx.AsyncClient, served: str, api_key: str, tmp_path: Path
) -> None:
    """The generated types compile with --strict and match the responses of the service.

    The live query of the documentation gets the same result as the plain query, although its stream is cut repeatedly.
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
    for script, name in (("client.js", "typescript"), ("live.js", "live")):
        output = await anyio.to_thread.run_sync(run, tmp_path, "node", f"built/{script}", served, api_key)
        assert output == f"{name}: all of it holds\n"
