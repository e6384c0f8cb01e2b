"""Liveness and readiness checks."""

import asyncio

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from api.http.dependencies import ServicesDep
from api.http.errors import problem_response
from database.errors import DatabaseError
from database.migrate import require_current_schema

READY_WITHIN_SECONDS = 5.0

router = APIRouter(include_in_schema=False)


@router.get("/health/live")
async def is_live() -> dict[str, str]:
    """Return that the process responds."""
    return {"status": "live"}


@router.get("/health/ready")
async def is_ready(request: Request, services: ServicesDep) -> Response:
    """Return whether the database responds and has the schema of this code; otherwise a 503 problem with the reason."""
    try:
        async with asyncio.timeout(READY_WITHIN_SECONDS):
            await require_current_schema(services.pool)
    except DatabaseError as error:
        return problem_response(request, 503, "not_ready", str(error))
    except (SQLAlchemyError, OSError):
        return problem_response(request, 503, "not_ready", "The database does not respond.")
    return Response('{"status":"ready"}', media_type="application/json")
