from pathlib import Path

import pytest

from orchestration.defs.dbt.project import DbtProject
from tests.blocking import prove_file_lock


@pytest.mark.locks("orchestration.defs.dbt.project:DbtProject._lock_target")
def test_dbt_calls_lock_their_target_folder(tmp_path: Path) -> None:
    """A dbt call waits for a call of another process that writes to the same folder."""
    target = tmp_path / "target"

    def enter() -> bool:
        with DbtProject(tmp_path, target)._lock_target():
            return True

    assert prove_file_lock(target / "dbt.lock", enter)
