import io
import re

import pytest
from dotenv import dotenv_values
from pydantic_settings import BaseSettings

from ai.settings import AiSettings
from api.settings import ApiSettings, OidcSettings
from database.settings import DatabaseSettings
from egress.settings import EgressSettings
from orchestration.settings import OrchestrationSettings
from tests import ROOT

TEXT = (ROOT / ".env.example").read_text(encoding="utf-8")
VALUES = dotenv_values(stream=io.StringIO(re.sub(r"^# (?=[A-Z_]+=)", "", TEXT, flags=re.MULTILINE)))


SETTINGS = [ApiSettings, OidcSettings, AiSettings, DatabaseSettings, EgressSettings, OrchestrationSettings]


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_is_listed_with_a_value_that_can_be_used(
    settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line becomes a valid setting when its comment sign is removed."""
    prefix = settings.model_config.get("env_prefix", "")
    nested = {name for name, field in settings.model_fields.items() if field.annotation in SETTINGS}
    names = {f"{prefix}{field}".upper() for field in settings.model_fields.keys() - nested}
    assert names <= VALUES.keys()

    for name in names:
        monkeypatch.setenv(name, VALUES[name] or "")
    settings()


def test_all_settings_are_commented_out() -> None:
    """An unedited copy of the file changes nothing."""
    assert dotenv_values(stream=io.StringIO(TEXT)) == {}
