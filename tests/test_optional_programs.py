from tests.optional_programs import closing_line, skip_reason


def test_missing_programs_are_named_in_one_line() -> None:
    """The line counts the skipped tests of each program and says how to install all of them."""
    reasons = [f"Skipped: {skip_reason(name)}" for name in ("pgbouncer", "dovecot", "pgbouncer")]
    assert closing_line([*reasons, "Skipped: only root runs Postgres as another user"]) == (
        "Skipped because a program is missing: dovecot (1 tests), pgbouncer (2 tests)."
        " On Debian: apt install dovecot-imapd pgbouncer"
    )


def test_nothing_is_said_when_every_program_is_installed() -> None:
    """Other reasons to skip a test are no missing program."""
    assert closing_line(["Skipped: only root runs Postgres as another user"]) == ""
