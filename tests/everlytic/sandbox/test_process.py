"""The sandbox as a process: its start, its end, its switches, and what it says about bad arguments."""

import http.client
import json
import signal
import time

import pytest

from everlytic.sandbox.__main__ import main
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.scenarios import FAULTS, SWITCHES, Behaviour, Scenario, parse_switch
from tests.sandbox import Sandbox, running_sandbox


def test_it_ends_at_sigterm_while_a_caller_waits() -> None:
    """SIGTERM ends it with 0 even while an answer is being held back."""
    with running_sandbox("--scenario", "timeout_after_accept=1") as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        caller = http.client.HTTPConnection(host, int(port))
        template = {"template_id": "1b0c2f0e-2c9c-4b0a-9d27-3b6a0e6f5a10"}
        body = json.dumps({"headers": {"to": [{"email": "a@x.example"}]}, "options": template})
        key = "Basic YW5uOnNhbmRib3gta2V5LWFubg=="
        caller.request("POST", "/transactional/email/v1/mail", body, {"authorization": key})
        sandbox.wait_until(lambda: sandbox.ask("state")["mails"] == 1)
        sandbox.process.send_signal(signal.SIGTERM)
        assert sandbox.process.wait(30) == 0
        caller.close()


def test_it_ends_with_the_process_that_started_it() -> None:
    """When its standard input closes it ends by itself."""
    with running_sandbox() as sandbox:
        assert sandbox.process.stdin is not None
        sandbox.process.stdin.close()
        assert sandbox.process.wait(5) == 0


def test_all_switches_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """--list-switches shows every switch and scenario."""
    assert main(["--list-switches"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}=" in shown for name in SWITCHES)
    assert all(f"  {name} " in shown for name in FAULTS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--switch", "nothing=1"], "no switch 'nothing'"),
        (["--switch", "opted_out=maybe"], "accept_then_failed, reject_400"),
        (["--scenario", "storm"], "no scenario 'storm'"),
        (["--scenario", "slow=2"], "probability from 0 to 1"),
        (["--scenario", "reset_after_accept@read"], "routes send"),
        (["--clock", "1,2026-01-01T00:00:00,5"], "ISO instant with offset"),
        (["--clock", "soon"], "cannot be read"),
    ],
)
def test_a_bad_argument_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong switch, scenario or clock ends with 2 and says in one line what is allowed."""
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_taken_port_is_one_sentence(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Starting on a port in use ends with 2 and names it."""
    assert main(["--port", sandbox.url.rpartition(":")[2]]) == 2
    assert "cannot listen" in capsys.readouterr().err


def test_a_clock_from_outside_runs_and_cannot_be_pushed() -> None:
    """With --clock virtual time runs at its speed, and advancing is refused."""
    with running_sandbox("--clock", f"{time.time()},2030-01-01T00:00:00+00:00,100000") as sandbox:
        before = sandbox.ask("state")["now_epoch"]
        sandbox.wait_until(lambda: sandbox.ask("state")["now_epoch"] > before + 3600)
        assert sandbox.control.post("/__sandbox__/clock/advance", json={"seconds": 1}).status_code == 409


def test_the_clock_is_an_affine_transform() -> None:
    """Now and waiting times follow speed and offset."""
    clock = Clock.parse(f"{time.time()},2030-01-01T02:00:00+02:00,60")
    assert clock.now() == pytest.approx(1893456000, abs=60)
    assert clock.real_seconds_until(clock.now() + 600) == pytest.approx(10, abs=0.5)


def test_values_are_read_strictly() -> None:
    """Switch values have the type of their default; scenarios have defaults."""
    assert parse_switch("quota=5") == ("quota", 5)
    assert parse_switch("complaints=on") == ("complaints", True)
    with pytest.raises(ValueError, match="quota"):
        SWITCHES["quota"].read(True)
    assert Scenario.parse("slow") == Scenario("slow", 0.1, ("send",))
    assert Scenario.parse("rate_limited=0.5@read,send") == Scenario("rate_limited", 0.5, ("read", "send"))


def test_faults_repeat_and_keep_their_share() -> None:
    """The same seed and key draw the same fault, about as often as asked; a username's own scenario wins."""
    everyone = Behaviour(3, scenarios={"server_error": Scenario.make("server_error", 0.2)})
    drawn = [everyone.draw("send", n) for n in range(5000)]
    assert drawn == [everyone.draw("send", n) for n in range(5000)]
    assert 0.17 < sum(one == "server_error" for one in drawn) / 5000 < 0.23
    own = Behaviour(3, scenarios={"server_error": Scenario.make("server_error", 0)}, parent=everyone)
    assert own.draw("send", 1) is None
    assert everyone.draw("read", 1) is None
