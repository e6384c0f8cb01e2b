"""How old the newest rows of dbt's sources are, as dbt judges it, one check on each source that has a limit."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from orchestration.defs.dbt.assets import MANIFEST, TRANSLATOR
from orchestration.defs.dbt.resources import Dbt

NAME = "source_freshness"
DBT_KNOWS_NO_TIME_BEFORE = 2
"""dbt gives the first year for a source without rows."""


def limited_sources(manifest: Mapping[str, Any]) -> dict[str, dg.AssetKey]:
    """Return the asset of each source that must not grow old, by dbt's unique id."""
    return {
        unique_id: TRANSLATOR.get_asset_spec(manifest, unique_id, None).key
        for unique_id, source in manifest["sources"].items()
        if any((source["freshness"] or {}).get(limit, {}).get("count") for limit in ("warn_after", "error_after"))
    }


SOURCES = limited_sources(MANIFEST)


@dg.multi_asset_check(
    name=NAME,
    specs=[
        dg.AssetCheckSpec(NAME, asset=key, description="The newest rows are as young as dbt's source wants them.")
        for key in SOURCES.values()
    ],
    pool="dbt",
)
def source_freshness(dbt: Dbt) -> Iterator[dg.AssetCheckResult]:
    """Let dbt look at its sources; a source that grew old fails its check and never the run."""
    for result in dbt.freshness():
        if result.node.unique_id in SOURCES:
            yield _judged(SOURCES[result.node.unique_id], result)


def _judged(key: dg.AssetKey, result: Any) -> dg.AssetCheckResult:
    status = str(result.status)
    loaded_at = getattr(result, "max_loaded_at", None)
    is_empty = loaded_at is not None and loaded_at.year < DBT_KNOWS_NO_TIME_BEFORE
    metadata: dict[str, Any] = {"judgement": status}
    if loaded_at is None:
        metadata["answer"] = str(result.message)
    elif is_empty:
        metadata["answer"] = "Nothing has come yet, so nothing is old."
    else:
        metadata |= {"newest": loaded_at.isoformat(), "age_hours": round(result.age / 3600, 2)}
    return dg.AssetCheckResult(
        check_name=NAME,
        asset_key=key,
        passed=status == "pass" or is_empty,
        severity=dg.AssetCheckSeverity.WARN if status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
    )
