"""Dagster resource that runs dbt and reports each model as an asset and each test as a check."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from database.roles import owner_url
from orchestration.defs.dbt.project import EXCLUDE_NIGHTLY, DbtProject
from orchestration.errors import DbtFailed

DbtEvent = dg.MaterializeResult[None] | dg.AssetCheckResult


class Dbt(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster's own documentation subclasses it bare
    """Builds the dbt project in `project_dir` in the database of `url`."""

    url: str
    project_dir: str
    target_path: str

    def build(
        self,
        context: dg.AssetExecutionContext,
        manifest: Mapping[str, Any],
        translator: DagsterDbtTranslator,
        *,
        all_tests: bool,
        full_refresh: bool,
    ) -> Iterator[DbtEvent]:
        """Build the selected models, report each model and test, and raise DbtFailed at the end if any failed.

        Without `all_tests` the nightly tests are skipped; `full_refresh` rebuilds incremental models from all rows.
        """
        # Unit tests check the code, not the data; they run in the test suite.
        arguments = ["--exclude-resource-type", "unit_test", *_selection_arguments(context, manifest, translator)]
        if not all_tests:
            arguments += EXCLUDE_NIGHTLY
        if full_refresh:
            arguments.append("--full-refresh")
        results = self._project().build(owner_url(self.url), arguments)
        for result in results:
            yield from _to_dagster_events(result, manifest, translator)
        failures = [f"{result.node.name}: {result.message}" for result in results if result.status in {"error", "fail"}]
        if failures:
            raise DbtFailed(f"dbt build failed in {len(failures)} of {len(results)} nodes. " + " | ".join(failures))

    def check_freshness(self) -> list[Any]:
        """Return dbt's freshness result of each source; raises DbtFailed if dbt could not run."""
        return self._project().check_freshness(owner_url(self.url))

    def _project(self) -> DbtProject:
        return DbtProject(Path(self.project_dir), Path(self.target_path))


def _selection_arguments(
    context: dg.AssetExecutionContext, manifest: Mapping[str, Any], translator: DagsterDbtTranslator
) -> Sequence[str]:
    if not context.is_subset:
        return []
    models = {
        translator.get_asset_spec(manifest, unique_id, None).key: ".".join(node["fqn"])
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model"
    }
    return ["--select", *(models[key] for key in context.selected_asset_keys)]


def _to_dagster_events(
    result: Any, manifest: Mapping[str, Any], translator: DagsterDbtTranslator
) -> Iterator[DbtEvent]:
    unique_id, status = result.node.unique_id, str(result.status)
    if result.node.resource_type == "model" and status == "success":
        rows = result.adapter_response.get("rows_affected")
        yield dg.MaterializeResult(
            asset_key=translator.get_asset_spec(manifest, unique_id, None).key,
            metadata={
                "seconds": round(result.execution_time, 3),
                "message": str(result.message),
                **({"rows_affected": rows} if isinstance(rows, int) and rows >= 0 else {}),
            },
        )
    if result.node.resource_type == "test" and status in {"pass", "warn", "fail", "error"}:
        key = get_asset_check_key_for_test(manifest, translator, unique_id, None)
        if key is not None:
            is_error = result.node.config.severity.upper() == "ERROR" and status != "warn"
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=status == "pass",
                severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
                metadata={"failing_rows": result.failures or 0, "message": str(result.message)},
            )
