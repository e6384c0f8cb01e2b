"""Asset checks for dbt's source freshness, one for each source with a freshness limit."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from orchestration.defs.dbt.assets import MANIFEST, TRANSLATOR
from orchestration.defs.dbt.resources import Dbt

CHECK_NAME = "source_freshness"
FIRST_VALID_YEAR = 2
"""dbt returns a time in year 1 for a source without rows."""


def sources_with_freshness(manifest: Mapping[str, Any]) -> dict[str, dg.AssetKey]:
    """Return the asset of each source that has a freshness limit, by dbt's unique id."""
    return {
        unique_id: TRANSLATOR.get_asset_spec(manifest, unique_id, None).key
        for unique_id, source in manifest["sources"].items()
        if any((source["freshness"] or {}).get(limit, {}).get("count") for limit in ("warn_after", "error_after"))
    }


SOURCES = sources_with_freshness(MANIFEST)


@dg.multi_asset_check(
    name=CHECK_NAME,
    specs=[
        dg.AssetCheckSpec(CHECK_NAME, asset=key, description="The newest row is within the source's freshness limit.")
        for key in SOURCES.values()
    ],
    pool="dbt",
)
def source_freshness(dbt: Dbt) -> Iterator[dg.AssetCheckResult]:
    """Run `dbt source freshness`; a stale source fails its check, not the run."""
    for result in dbt.check_freshness():
        if result.node.unique_id in SOURCES:
            yield _build_check_result(SOURCES[result.node.unique_id], result)


def _build_check_result(key: dg.AssetKey, result: Any) -> dg.AssetCheckResult:
    status = str(result.status)
    loaded_at = getattr(result, "max_loaded_at", None)
    is_empty = loaded_at is not None and loaded_at.year < FIRST_VALID_YEAR
    metadata: dict[str, Any] = {"status": status}
    if loaded_at is None:
        metadata["message"] = str(result.message)
    elif is_empty:
        metadata["message"] = "The source has no rows yet."
    else:
        metadata |= {"newest": loaded_at.isoformat(), "age_hours": round(result.age / 3600, 2)}
    return dg.AssetCheckResult(
        check_name=CHECK_NAME,
        asset_key=key,
        passed=status == "pass" or is_empty,
        severity=dg.AssetCheckSeverity.WARN if status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
    )
