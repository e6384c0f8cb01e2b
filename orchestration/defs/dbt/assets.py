"""Dagster assets of the dbt models: Everlytic's tables feed staging, and staging feeds the marts."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from database.roles import owner_url
from database.settings import DatabaseSettings
from orchestration.defs.dbt.project import DbtProject, read_manifest
from orchestration.defs.dbt.resources import Dbt, DbtEvent
from orchestration.defs.dbt.translator import FolderTranslator
from orchestration.defs.operations.lookback import Lookback
from orchestration.settings import OrchestrationSettings


def _load_manifest() -> Mapping[str, Any]:
    settings, database = OrchestrationSettings(), DatabaseSettings().database_url
    project = DbtProject(settings.dbt_project_dir, settings.dbt_target_path)
    return read_manifest(project.ensure_manifest(owner_url(database.get_secret_value()) if database else None))


MANIFEST = _load_manifest()
TRANSLATOR = FolderTranslator()


app_tables = [
    TRANSLATOR.get_asset_spec(MANIFEST, unique_id, None)
    for unique_id, source in MANIFEST["sources"].items()
    if source["source_name"] == "app"
]
"""The operational tables as external assets, so that the graph shows what the marts are built from."""


@dbt_assets(manifest=MANIFEST, dagster_dbt_translator=TRANSLATOR, name="dbt_models", pool="dbt")
def dbt_models(context: dg.AssetExecutionContext, dbt: Dbt, lookback: Lookback) -> Iterator[DbtEvent]:
    """All dbt models, built and tested by one `dbt build`."""
    yield from dbt.build(context, MANIFEST, TRANSLATOR, all_tests=not lookback.days, full_refresh=lookback.full_refresh)
