"""The front page and the API documentation, served without external resources."""

import html
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from api.http.dependencies import ServicesDep

STATIC = "/static/docs"
SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"
"""Swagger UI 5 as plain files; nothing else of the package is used."""

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
async def front_page(services: ServicesDep) -> str:
    """The front page, with links to the parts of the service."""
    settings = services.settings
    links = (
        ("/docs", "API documentation", "every endpoint, to read and to try"),
        (settings.dagster_url, "Dagster", "sync runs, schedules and checks"),
        (settings.dbt_docs_url, "dbt docs", "every mart, every column and every rate"),
        ("/health/ready", "Health", "whether the service is ready"),
    )
    items = "".join(
        f'<li><a href="{html.escape(url, quote=True)}">{name}</a> <span>{what}</span></li>'
        for url, name, what in links
        if url is not None
    )
    return FRONT_PAGE.format(items=items)


@router.get("/docs", response_class=HTMLResponse)
async def documentation() -> HTMLResponse:
    """The API documentation, from our own files, so that it works offline."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="SalesMatter API",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url="data:,",
    )


def install(app: FastAPI) -> None:
    """Add the pages."""
    app.include_router(router)
    app.mount(STATIC, StaticFiles(directory=SWAGGER_UI), name="docs")


FRONT_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>SalesMatter</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1.5rem }}
ul {{ list-style: none; padding: 0 }} li {{ padding: .6rem 0; border-top: 1px solid #e3e6ee }}
a {{ color: #1d4ed8; font-weight: 600; text-decoration: none }} span {{ color: #667; margin-left: .5rem }}
</style></head>
<body><h1>SalesMatter</h1><p>Automated B2B outreach: the service is running.</p><ul>{items}</ul></body></html>
"""
