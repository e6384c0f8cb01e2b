import io

import pytest

from ai.workflows.csv_mapping.state import Target
from api.imports.commit import values_of
from api.imports.files.blocks import read_frames, read_layout
from api.imports.packing import pack_rows
from api.imports.values import FileColumns
from domain.lead import SegmentThresholds
from tests.api.importing import Imports, Tables

pytestmark = pytest.mark.anyio

FILE = "Email,Company\nann@example.com,Acme\nbob@example.com,Beta\ncyd@example.com,Core\n"


@pytest.mark.parametrize(
    ("file_name", "list_name"), [("a" * 199, "a" * 199), ("a" * 200, "a" * 200), ("a" * 201, "a" * 200)]
)
async def test_a_list_is_named_after_its_file_up_to_200_characters(
    imports: Imports, file_name: str, list_name: str
) -> None:
    """A list has the first 200 characters of its file's name, without the file's ending."""
    made = await imports.uploaded(FILE, f"{file_name}.csv")
    assert (made["fileName"], made["listName"]) == (f"{file_name}.csv", list_name)


async def test_commits_and_undos_are_tried_twenty_times(imports: Imports, tables: Tables) -> None:
    """The jobs of a commit and of its undo are tried twenty times each."""
    made = await imports.imported(FILE)
    await imports.undo(made)
    jobs = tables.run(
        "SELECT job_type, max_attempts FROM app.scheduled_jobs"
        " WHERE job_type IN ('commit_import', 'undo_import') ORDER BY job_type"
    )
    assert [tuple(job.values()) for job in jobs] == [("commit_import", 20), ("undo_import", 20)]


def test_the_values_of_some_rows_are_those_of_their_lines() -> None:
    """Of a block the values of all rows are returned, or of those on some lines, without a header."""
    text = io.StringIO(FILE)
    layout, _ = read_layout(text)
    (frame,) = read_frames(text, layout)
    reading = FileColumns({Target.EMAIL: 0, Target.COMPANY: 1}, [], {}, SegmentThresholds())
    rows = {2: "Acme", 3: "Beta", 4: "Core"}
    for lines in (None, [3], [2, 4], []):
        written = values_of(pack_rows(frame), reading, lines).decode()
        expected = [f'{line},"","",{rows[line]},"",,,{{}}' for line in (rows if lines is None else lines)]
        assert written.splitlines() == expected
