"""Tests the sandbox as a process: start, shutdown, switches and invalid arguments."""

import http.client
import json
import signal
import time

import pytest

from everlytic.sandbox.__main__ import main
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.scenarios import FAULTS, SWITCHES, Behaviour, Scenario, parse_switch
from tests.sandbox import Sandbox, running_sandbox


def test_sigterm_ends_the_process_while_a_caller_waits() -> None:
    """SIGTERM ends the process with 0 even while a response is delayed."""
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


def test_the_process_ends_with_its_parent() -> None:
    """The process exits when its standard input closes."""
    with running_sandbox() as sandbox:
        assert sandbox.process.stdin is not None
        sandbox.process.stdin.close()
        assert sandbox.process.wait(5) == 0


def test_all_switches_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """--list-switches prints every switch and scenario."""
    assert main(["--list-switches"]) == 0
    output = capsys.readouterr().out
    assert all(f"{name}=" in output for name in SWITCHES)
    assert all(f"  {name} " in output for name in FAULTS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--switch", "nothing=1"], "no switch 'nothing'"),
        (["--switch", "opted_out=maybe"], "accept_then_failed, reject_400"),
        (["--scenario", "storm"], "no scenario 'storm'"),
        (["--scenario", "slow=2"], "probability from 0 to 1"),
        (["--scenario", "reset_after_accept@read"], "routes send"),
        (["--clock", "1,2026-01-01T00:00:00,5"], "ISO instant with offset"),
        (["--clock", "soon"], "cannot be parsed"),
    ],
)
def test_an_invalid_argument_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid switch, scenario or clock exits with 2 and one line that says what is allowed."""
    assert main(arguments) == 2
    output = capsys.readouterr().err
    assert sentence in output
    assert output.count("\n") == 1


def test_a_port_in_use_is_one_sentence(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Starting on a port in use exits with 2 and a sentence."""
    assert main(["--port", sandbox.url.rpartition(":")[2]]) == 2
    assert "cannot listen" in capsys.readouterr().err


def test_an_external_clock_runs_and_cannot_be_advanced() -> None:
    """With --clock the virtual time runs at its speed, and advancing it is refused."""
    with running_sandbox("--clock", f"{time.time()},2030-01-01T00:00:00+00:00,100000") as sandbox:
        before = sandbox.ask("state")["now_epoch"]
        sandbox.wait_until(lambda: sandbox.ask("state")["now_epoch"] > before + 3600)
        assert sandbox.control.post("/__sandbox__/clock/advance", json={"seconds": 1}).status_code == 409


def test_the_clock_is_an_affine_transform() -> None:
    """The virtual time and real waiting times follow the speed and the offset."""
    clock = Clock.parse(f"{time.time()},2030-01-01T02:00:00+02:00,60")
    assert clock.now() == pytest.approx(1893456000, abs=60)
    assert clock.real_seconds_until(clock.now() + 600) == pytest.approx(10, abs=0.5)


def test_switches_and_scenarios_are_parsed() -> None:
    """A switch value must have the type of its default; a scenario has a default probability and routes."""
    assert parse_switch("quota=5") == ("quota", 5)
    assert parse_switch("complaints=on") == ("complaints", True)
    with pytest.raises(ValueError, match="quota"):
        SWITCHES["quota"].parse(True)
    assert Scenario.parse("slow") == Scenario("slow", 0.1, ("send",))
    assert Scenario.parse("rate_limited=0.5@read,send") == Scenario("rate_limited", 0.5, ("read", "send"))


def test_faults_are_repeatable_and_have_their_probability() -> None:
    """A seed and key always give the same fault, with the set probability; a username's scenario has precedence."""
    all_usernames = Behaviour(3, scenarios={"server_error": Scenario.create("server_error", 0.2)})
    faults = [all_usernames.pick_fault("send", n) for n in range(5000)]
    assert faults == [all_usernames.pick_fault("send", n) for n in range(5000)]
    assert 0.17 < sum(fault == "server_error" for fault in faults) / 5000 < 0.23
    own = Behaviour(3, scenarios={"server_error": Scenario.create("server_error", 0)}, parent=all_usernames)
    assert own.pick_fault("send", 1) is None
    assert all_usernames.pick_fault("read", 1) is None
