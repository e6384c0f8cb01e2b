from pathlib import Path

import pytest

from orchestration.defs.dbt.project import DbtProject
from tests.blocking import prove_file_lock


@pytest.mark.locks("orchestration.defs.dbt.project:DbtProject._turn")
def test_one_dbt_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    """A call of dbt waits for one of another process that writes to the same folder."""
    target = tmp_path / "target"

    def enter() -> bool:
        with DbtProject(tmp_path, target)._turn():
            return True

    assert prove_file_lock(target / "turn.lock", enter)
