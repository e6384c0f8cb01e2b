"""The folders of the API use the same file names, and no name is empty of meaning."""

import re
from pathlib import Path

from tests.architecture.tree import API_FOLDERS, PACKAGES, files, sources

FILES = {"__init__.py", "endpoints.py", "schemas.py", "service.py", "repository.py", "tasks.py"}
OTHER_FILES = {
    "accounts/workspaces/receivers.py": "the workspace of a webhook token, for endpoints that providers call",
    "delivery/events/event_batch.py": "a batch of events combined with the stored events of the same messages",
    "delivery/events/links.py": "the service of another unsubscribe link by email",
    "delivery/events/parsing.py": "parses provider rows into events, with an error for each row that it cannot parse",
    "http/authentication/errors.py": "why a credential is not accepted",
    "http/authentication/signing_keys.py": "the public keys of the token issuer, fetched and cached",
    "http/authentication/tokens.py": "verifies tokens of the issuer",
    "imports/commit.py": "the service of commits",
    "imports/packing.py": "the stored form of some thousand rows of a file",
    "imports/preview.py": "the service of previews",
    "imports/repository/commit.py": "the SQL of commits",
    "imports/repository/outcomes.py": "the SQL of what becomes of each row, for previews and commits",
    "imports/repository/preview.py": "the SQL of previews",
    "imports/repository/undo.py": "the SQL of undos",
    "imports/repository/uploads.py": "the SQL of uploads",
    "imports/timezones.py": "time zones as people and other systems write them",
    "imports/undo.py": "the service of undos",
    "imports/values.py": "the values of a lead from the cells of a row: pure functions over frames",
    "inbox/inbound/message.py": "parses an RFC 5322 message into the fields of a reply",
    "inbox/replies/reports.py": "what a report of a mail system means for a mail: pure functions",
    "inbox/replies/stops.py": "the addresses and leads that a no or a report stops",
    "inbox/inbound/posted.py": "parses messages that mailbox services post",
    "jobs/engine.py": "the worker's engine; the other files are its queue and the endpoints",
    "jobs/housekeeping.py": "work that every worker does for the queue: lost jobs, recurring jobs, the archive",
    "jobs/observer.py": "what the engine tells of the jobs that it runs",
    "jobs/work.py": "what tasks and engine share: a task, its work, and how it may end",
    "people/leads/tracking.py": "what is measured of a mail to a lead, by the lead's country",
    "people/leads/merging.py": "what rows given for known addresses change: pure functions over rows of one address",
    "people/leads/recipients.py": "the service of recipients: who got a mail, and which leads a no to it stops",
    "live/listener.py": "listens for the notifications of commits, on a direct connection",
    "live/subrequest.py": "runs a GET inside the process, for streams and batches",
    "live/patches.py": "the difference between two results as a JSON Patch",
    "live/queries.py": "live queries, shared by the streams with the same URL and credential",
    "live/streaming.py": "server-sent events: wraps every GET and imports no other folder of the API but `http`",
    "inbox/mailbox/connection.py": "a connection to an IMAP server with a time limit for each operation",
    "inbox/mailbox/imap.py": "reads a folder on an IMAP server in batches of limited size",
    "delivery/sending/content.py": "composes the mail of a draft, and the mail with a new unsubscribe link",
    "delivery/sending/eligibility.py": "whether a mail may be sent, and when: for the claim and for `explain`",
    "delivery/sending/explanation.py": "when the next mail of an enrollment is sent, and why not now",
    "delivery/slots/schedule.py": "when a step may be sent by its delay and the recipient's hours",
    "people/suppressions/files.py": "suppression lists as files: our own export, or any table of addresses",
    "delivery/events/page.py": "the page behind the unsubscribe link",
    "telemetry/health.py": "liveness and readiness",
    "telemetry/scraping.py": "the endpoint that Prometheus reads, on the API and on the worker's own port",
    "imports/files/addresses.py": "which cells are addresses: by a pattern, or by a validator",
    "imports/files/blocks.py": "reading files of any kind, encoding, delimiter and preamble, one file for each step",
    "imports/files/decoding.py": "as above",
    "imports/files/encodings.py": "which encoding a file has, guessed from a part of it",
    "imports/files/errors.py": "why a file cannot be read: the error of every step",
    "imports/files/kinds.py": "as above",
    "imports/files/layout.py": "as above",
    "imports/files/records.py": "as above",
    "imports/files/sheets.py": "a workbook's sheet as CSV, read in a process of its own",
    "imports/files/text.py": "as above",
    "imports/files/workbook.py": "as above: starts and bounds that process",
}
"""The other files of the API's folders, each with what it is for."""

FORBIDDEN = {"common", "core", "helpers", "misc", "shared", "util", "utils"}
REGISTRIES = {"api/routes.py", "api/tasks.py", "api/app.py"}
WITHOUT_ENDPOINTS = {
    "delivery/sending",
    "delivery/slots",
    "http/authentication",
    "http/idempotency",
    "imports/files",
    "imports/repository",
    "outreach/enrollment_status",
}
"""Folders that only other folders use."""


def test_folders_hold_the_agreed_files() -> None:
    """A folder holds the agreed files; another file is listed here with its reason."""
    inside = {source.path.removeprefix("api/") for source in sources("api") if source.path.count("/") > 1}
    # `api/http` holds one file for each thing that requests share.
    others = {path for path in inside if Path(path).name not in FILES and Path(path).parent != Path("http")}
    assert others == set(OTHER_FILES)


def test_every_package_has_a_docstring() -> None:
    """Each package begins with one sentence that says what it is responsible for."""
    silent = [
        source.path
        for source in sources(*PACKAGES)
        if source.path.endswith("__init__.py") and not (source.tree.body and source.text.startswith('"""'))
    ]
    assert silent == []


def test_every_folder_is_registered() -> None:
    """Each folder is in the list of routes or of tasks, or the app imports it, unless only other folders use it."""
    registries = "".join(source.text for source in sources("api") if source.path in REGISTRIES)
    missing = {folder for folder in API_FOLDERS if not re.search(rf"from api\.{module(folder)}\.?\b", registries)}
    assert missing <= WITHOUT_ENDPOINTS


def test_endpoints_and_tasks_are_registered() -> None:
    """Every endpoints.py is in api/routes.py and every tasks.py in api/tasks.py; live queries wrap all other routes."""
    text = {source.path: source.text for source in sources("api")}
    for path in text:
        folder, _, name = path.removeprefix("api/").rpartition("/")
        if name == "endpoints.py" and folder != "live":
            assert f"from api.{module(folder)}.endpoints import" in text["api/routes.py"]
        if name == "tasks.py" and folder:
            assert f"from api.{module(folder)}.tasks import" in text["api/tasks.py"]


def module(folder: str) -> str:
    """Return a folder's path as it is imported."""
    return folder.replace("/", ".")


def test_no_name_is_empty() -> None:
    """No folder and no file is called `utils`, `common` or the like."""
    named = [path for path in files() if FORBIDDEN & {part.partition(".")[0].lower() for part in path.split("/")}]
    assert named == []
