import pytest

from domain.opt_outs import OptOutColumn, OptOutKind, read_cell, read_header
from domain.suppression import SuppressionReason

FLAG, STATUS, PERMISSION, OTHER = OptOutKind.FLAG, OptOutKind.STATUS, OptOutKind.PERMISSION, OptOutKind.OTHER
UNSUBSCRIBED, HARD_BOUNCE = SuppressionReason.UNSUBSCRIBED, SuppressionReason.HARD_BOUNCE
COMPLAINT = SuppressionReason.COMPLAINT


@pytest.mark.parametrize(
    ("header", "kind", "reason"),
    [
        ("HasOptedOutOfEmail", FLAG, UNSUBSCRIBED),
        ("Email Opt Out", FLAG, UNSUBSCRIBED),
        ("email_opt_out", FLAG, UNSUBSCRIBED),
        ("OPT-OUT", FLAG, UNSUBSCRIBED),
        ("Unsubscribed", FLAG, UNSUBSCRIBED),
        ("unsubscribed_at", FLAG, UNSUBSCRIBED),
        ("UNSUB_TIME", FLAG, UNSUBSCRIBED),
        ("Unsubscribe reason", FLAG, UNSUBSCRIBED),
        ("DNC", FLAG, UNSUBSCRIBED),
        ("Do Not Contact", FLAG, UNSUBSCRIBED),
        ("DoNotBulkEMail", FLAG, UNSUBSCRIBED),
        ("Do not mail", FLAG, UNSUBSCRIBED),
        ("Blacklisted", FLAG, UNSUBSCRIBED),
        ("E-Mail-Abmeldung", FLAG, UNSUBSCRIBED),
        ("Abgemeldet am", FLAG, UNSUBSCRIBED),
        ("Werbesperre", FLAG, UNSUBSCRIBED),
        ("Désabonné", FLAG, UNSUBSCRIBED),
        ("Ne pas contacter", FLAG, UNSUBSCRIBED),
        ("Uitgeschreven", FLAG, UNSUBSCRIBED),
        ("Niet mailen", FLAG, UNSUBSCRIBED),
        ("Moenie kontak nie", FLAG, UNSUBSCRIBED),
        ("Fecha de baja", FLAG, UNSUBSCRIBED),
        ("Baja", FLAG, UNSUBSCRIBED),
        ("Não contatar", FLAG, UNSUBSCRIBED),
        ("Descadastrado em", FLAG, UNSUBSCRIBED),
        ("Disiscritto", FLAG, UNSUBSCRIBED),
        ("Email Bounced", FLAG, HARD_BOUNCE),
        ("Email hard bounce reason", FLAG, HARD_BOUNCE),
        ("CLEAN_TIME", FLAG, HARD_BOUNCE),
        ("Unzustellbar", FLAG, HARD_BOUNCE),
        ("Spam complaint", FLAG, COMPLAINT),
        ("Complained", FLAG, COMPLAINT),
        ("Subscribed", PERMISSION, UNSUBSCRIBED),
        ("Allow email", PERMISSION, UNSUBSCRIBED),
        ("E-Mail erlaubt", PERMISSION, UNSUBSCRIBED),
        ("Lead Status", STATUS, UNSUBSCRIBED),
        ("Email Marketing Consent", STATUS, UNSUBSCRIBED),
        ("Tags", STATUS, UNSUBSCRIBED),
        ("Do Not Call", OTHER, UNSUBSCRIBED),
        ("Phone Opt Out", OTHER, UNSUBSCRIBED),
        ("HasOptedOutOfFax", OTHER, UNSUBSCRIBED),
        ("Unsubscribe link", OTHER, UNSUBSCRIBED),
        ("Bounce rate", OTHER, UNSUBSCRIBED),
        ("Soft bounces", OTHER, UNSUBSCRIBED),
        ("Prioridad baja", OTHER, UNSUBSCRIBED),
        ("Trabaja en", OTHER, UNSUBSCRIBED),
        ("Customer complaint text", OTHER, UNSUBSCRIBED),
        ("OPTIN_TIME", OTHER, UNSUBSCRIBED),
        ("Email", OTHER, UNSUBSCRIBED),
        ("Company", OTHER, UNSUBSCRIBED),
        ("", OTHER, UNSUBSCRIBED),
    ],
)
def test_a_header_says_how_its_column_speaks_of_mailing(
    header: str, kind: OptOutKind, reason: SuppressionReason
) -> None:
    """Opt-outs, bounces and complaints are told from statuses, permissions, other channels and other columns."""
    assert read_header(header) == OptOutColumn(kind, reason)


DENIALS = [
    "", " ", "0", "0.0", "false", "FALSE", "no", "No", "n", "nein", "Non", "nee", "não", "-", "N/A", "null", "never",
    "subscribed", "Active", "Allow", "opted in", "soft bounce", "Not unsubscribed", "0000-00-00", "https://x.example/u",
    "\u200b", "☐", "нет",
]  # fmt: skip


@pytest.mark.parametrize("cell", DENIALS)
@pytest.mark.parametrize("kind", [FLAG, STATUS, OTHER])
def test_a_denial_is_no_opt_out(cell: str, kind: OptOutKind) -> None:
    """Zero, false, no, blank, `subscribed` and a link are no opt-outs in any flag or status."""
    assert read_cell(cell, OptOutColumn(kind, COMPLAINT)) is None


@pytest.mark.parametrize(
    "cell", ["1", "true", "TRUE", "yes", "Y", "x", "ja", "Oui", "sí", "sim", "✓", "2024-03-01", "01.03.2024 10:00"]
)
def test_a_yes_or_a_date_in_a_flag_has_the_reason_of_the_header(cell: str) -> None:
    """A yes and a date are a no to mail in a flag and in a column that a user chose, and nothing in a status."""
    for reason in (UNSUBSCRIBED, HARD_BOUNCE):
        assert read_cell(cell, OptOutColumn(FLAG, reason)) is reason
    assert read_cell(cell, OptOutColumn(OTHER)) is UNSUBSCRIBED
    assert read_cell(cell, OptOutColumn(STATUS)) is None
    assert read_cell(cell, OptOutColumn(PERMISSION)) is None


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("Unsubscribed", UNSUBSCRIBED),
        ("opted-out", UNSUBSCRIBED),
        ("Do not contact", UNSUBSCRIBED),
        ("kein Kontakt", UNSUBSCRIBED),
        ("Désabonné", UNSUBSCRIBED),
        ("dado de baja", UNSUBSCRIBED),
        ("vip; unsubscribed", UNSUBSCRIBED),
        ("Cleaned", HARD_BOUNCE),
        ("Bounced", HARD_BOUNCE),
        ("hard_bounce", HARD_BOUNCE),
        ("Complained", COMPLAINT),
        ("marked as spam", COMPLAINT),
        ("bounced, complained", COMPLAINT),
    ],
)
def test_a_status_states_its_own_reason(cell: str, reason: SuppressionReason) -> None:
    """A word for an opt-out, alone or as one of several tags, has its own reason in every kind of column."""
    for kind in OptOutKind:
        assert read_cell(cell, OptOutColumn(kind, UNSUBSCRIBED)) is reason


@pytest.mark.parametrize(
    "cell", ["New", "Open", "Unqualified", "bouncer", "unsubscribed customers", "Spam filter", "2"]
)
def test_other_words_of_a_status_are_no_opt_out(cell: str) -> None:
    """A status with other words, or longer than those of an opt-out, is no opt-out."""
    assert read_cell(cell, OptOutColumn(STATUS)) is None


def test_any_other_text_in_a_flag_is_an_opt_out() -> None:
    """The reason that someone wrote into a flag is an opt-out; in a column that a user chose only clear words are."""
    for cell in ("UNKNOWN_USER", "no longer interested", "per phone, Ms Meier"):
        assert read_cell(cell, OptOutColumn(FLAG, HARD_BOUNCE)) is HARD_BOUNCE
        assert read_cell(cell, OptOutColumn(OTHER)) is None or cell == "UNKNOWN_USER"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("no", UNSUBSCRIBED),
        ("0", UNSUBSCRIBED),
        ("False", UNSUBSCRIBED),
        ("nein", UNSUBSCRIBED),
        ("yes", None),
        ("", None),
        ("unknown", None),
        ("2024-01-01", None),
        ("1", None),
    ],
)
def test_only_an_explicit_no_of_a_permission_counts(cell: str, reason: SuppressionReason | None) -> None:
    """In a column of permissions an explicit no is an opt-out; blank, unknown, dates and a yes are not."""
    assert read_cell(cell, OptOutColumn(PERMISSION)) is reason


def test_only_the_beginning_of_a_long_cell_is_read() -> None:
    """A word for an opt-out is found within the first 1,000 characters of a cell and not after them."""
    status = OptOutColumn(STATUS)
    assert read_cell("x" * 992 + ",cleaned", status) is HARD_BOUNCE
    assert read_cell("x" * 993 + ",cleaned", status) is None
