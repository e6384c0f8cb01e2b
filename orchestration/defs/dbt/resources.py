"""dbt as a resource: a build of the chosen models, told to Dagster asset by asset and check by check."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from database.roles import owner_url
from orchestration.defs.dbt.project import OF_THE_DAY, DbtProject
from orchestration.errors import DbtFailed

Told = dg.MaterializeResult[None] | dg.AssetCheckResult


class Dbt(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster's own documentation subclasses it bare
    """Builds the project in `project_dir` in the database of `url`."""

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
    ) -> Iterator[Told]:
        """Build what the run selects, report each model and test, and raise DbtFailed at the end if any failed.

        Without `all_tests` the nightly ones are left out; with `full_refresh` all of history is counted anew.
        """
        # Unit tests judge the code and not the data; they run with the other tests of the code.
        arguments = ["--exclude-resource-type", "unit_test", *_selection(context, manifest, translator)]
        if not all_tests:
            arguments += OF_THE_DAY
        if full_refresh:
            arguments.append("--full-refresh")
        results = self._project().build(owner_url(self.url), arguments)
        for result in results:
            yield from _told(result, manifest, translator)
        failed = [f"{one.node.name}: {one.message}" for one in results if one.status in {"error", "fail"}]
        if failed:
            raise DbtFailed(f"dbt build failed in {len(failed)} of {len(results)} nodes. " + " | ".join(failed))

    def freshness(self) -> list[Any]:
        """Return dbt's judgement of each source's freshness; raises DbtFailed when it could not look at all."""
        return self._project().freshness(owner_url(self.url))

    def _project(self) -> DbtProject:
        return DbtProject(Path(self.project_dir), Path(self.target_path))


def _selection(
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


def _told(result: Any, manifest: Mapping[str, Any], translator: DagsterDbtTranslator) -> Iterator[Told]:
    unique_id, status = result.node.unique_id, str(result.status)
    if result.node.resource_type == "model" and status == "success":
        rows = result.adapter_response.get("rows_affected")
        yield dg.MaterializeResult(
            asset_key=translator.get_asset_spec(manifest, unique_id, None).key,
            metadata={
                "seconds": round(result.execution_time, 3),
                "answer": str(result.message),
                **({"rows_affected": rows} if isinstance(rows, int) and rows >= 0 else {}),
            },
        )
    if result.node.resource_type == "test" and status in {"pass", "warn", "fail", "error"}:
        key = get_asset_check_key_for_test(manifest, translator, unique_id, None)
        if key is not None:
            severe = result.node.config.severity.upper() == "ERROR" and status != "warn"
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=status == "pass",
                severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
                metadata={"failing_rows": result.failures or 0, "answer": str(result.message)},
            )
