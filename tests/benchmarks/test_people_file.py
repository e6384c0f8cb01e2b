import io
from pathlib import Path

import polars as pl
import pytest

from api.imports.files.addresses import check_addresses
from benchmarks.people_file import BATCH_ROWS, write_people

ROWS = BATCH_ROWS + 7


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of slightly more than one batch."""
    path = tmp_path_factory.mktemp("people") / "people.csv"
    write_people(path, ROWS)
    return path.read_bytes()


def test_the_file_is_deterministic(content: bytes, tmp_path: Path) -> None:
    """Two runs write the same bytes."""
    write_people(tmp_path / "again.csv", ROWS)

    assert (tmp_path / "again.csv").read_bytes() == content


def test_the_file_is_like_a_crm_export(content: bytes) -> None:
    """A million rows are about 200 MB, and cells with commas and quotation marks are quoted."""
    assert 190 < len(content) / ROWS < 220
    assert b',"Team Lead, EMEA",' in content
    assert b'"Said ""call me after the budget"", then changed jobs."' in content


def test_every_row_is_a_new_lead(content: bytes) -> None:
    """Every row of each batch has a valid and unique address."""
    addresses = pl.read_csv(io.BytesIO(content))["Email"]

    assert check_addresses(addresses)["address"].to_list() == addresses.to_list()
    assert addresses.n_unique() == len(addresses) == ROWS
