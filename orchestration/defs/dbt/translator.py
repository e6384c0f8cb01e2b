"""Maps dbt nodes to Dagster assets: groups by folder, and a freshness policy for marts."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
import dagster_dbt

MARTS = "marts"
FRESHNESS_POLICY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=1), fail_window=timedelta(days=1))


class FolderTranslator(dagster_dbt.DagsterDbtTranslator):
    """Groups a model by its folder and a source by its schema; every mart has a freshness policy."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the model's folder, or the source's name."""
        if dbt_resource_props["resource_type"] == "source":
            return str(dbt_resource_props["source_name"])
        return str(dbt_resource_props["fqn"][1])

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: dagster_dbt.DbtProject | None
    ) -> dg.AssetSpec:
        """Return the asset of a dbt node."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(freshness_policy=FRESHNESS_POLICY) if spec.group_name == MARTS else spec
