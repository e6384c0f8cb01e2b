"""HTTP for background work."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from api.dependencies import MemberDep, PageDep
from api.errors import Conflict, NotFound, Unauthorized, responses
from api.jobs import service
from api.jobs.schemas import JobOut
from api.pagination import Page, to_page
from database.models import JobStatus

router = APIRouter(prefix="/api/workspaces/{workspaceId}/jobs", tags=["jobs"])

JobId = Annotated[UUID, Path(alias="jobId")]


@router.get("", operation_id="listJobs", responses=responses(Unauthorized, NotFound))
async def list_jobs(
    member: MemberDep,
    page: PageDep,
    job_type: Annotated[
        str | None, Query(alias="type", pattern="^[a-z_]{1,100}$", description="Jobs of this type only.")
    ] = None,
    status: Annotated[JobStatus | None, Query(description="Jobs in this status only.")] = None,
) -> Page[JobOut]:
    """The workspace's background work, newest first."""
    jobs = await service.list_jobs(member.session, member.workspace_id, page, job_type=job_type, status=status)
    return to_page(JobOut, jobs, page)


@router.get("/{jobId}", operation_id="getJob", responses=responses(Unauthorized, NotFound))
async def get_job(member: MemberDep, job_id: JobId) -> JobOut:
    """One piece of background work."""
    return JobOut.model_validate(await service.get_job(member.session, job_id))


@router.post("/{jobId}/retry", operation_id="retryJob", responses=responses(Unauthorized, NotFound, Conflict))
async def retry_job(member: MemberDep, job_id: JobId) -> JobOut:
    """Put a failed or cancelled job back on the queue."""
    return JobOut.model_validate(await service.retry_job(member.session, job_id, member.now))


@router.post("/{jobId}/cancel", operation_id="cancelJob", responses=responses(Unauthorized, NotFound, Conflict))
async def cancel_job(member: MemberDep, job_id: JobId) -> JobOut:
    """Call off a job that has not started."""
    return JobOut.model_validate(await service.cancel_job(member.session, job_id, member.now))
