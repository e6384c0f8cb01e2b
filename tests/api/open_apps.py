"""Apps that stay open from one test to the next, each on a recycled database: starting one costs more than most tests.

An app is used again by tests with the same settings on the same database.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from fastapi import FastAPI

from ai.settings import AiSettings
from api.app import create_app
from api.settings import ApiSettings
from database.roles import owner_url
from domain.clock import Clock
from tests.recycled_databases import RecycledDatabases


@dataclass(frozen=True, slots=True)
class _OpenApp:
    app: FastAPI
    settings: tuple[ApiSettings, AiSettings]
    lifespan: AsyncExitStack


@dataclass(slots=True)
class OpenApps:
    """The open apps of one worker, by the URL of their database."""

    databases: RecycledDatabases
    _apps: dict[str, _OpenApp] = field(default_factory=dict)

    async def get(self, database_url: str, settings: ApiSettings, ai: AiSettings) -> FastAPI:
        """Return the open app of this database and these settings, or start it; its clock shows the time again."""
        for url, opened in list(self._apps.items()):
            if not self.databases.is_used(url) or (url == database_url and opened.settings != (settings, ai)):
                await self.close(url)
        self.databases.drop_discarded()
        if database_url not in self._apps:
            app = create_app(settings, ai, owner_url(database_url))
            lifespan = AsyncExitStack()
            await lifespan.enter_async_context(app.router.lifespan_context(app))
            self._apps[database_url] = _OpenApp(app, (settings, ai), lifespan)
        app = self._apps[database_url].app
        _restart_clock(app.state.services.clock, Clock.parse(settings.clock))
        return app

    async def close_all(self) -> None:
        """Stop every app."""
        for url in list(self._apps):
            await self.close(url)

    async def close(self, database_url: str) -> None:
        """Stop the app on a database, if there is one."""
        if database_url in self._apps:
            await self._apps.pop(database_url).lifespan.aclose()


def _restart_clock(clock: Clock, initial: Clock) -> None:
    """Undo what a test did to the clock of the app."""
    clock.real_start, clock.virtual_start, clock.speed = initial.real_start, initial.virtual_start, initial.speed
