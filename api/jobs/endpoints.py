"""HTTP for background jobs."""

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from api.http.dependencies import MemberDep, PageDep
from api.http.errors import Conflict, NotFound, responses
from api.http.pagination import Page, to_page
from api.http.routing import JobId, create_router
from api.jobs import service
from api.jobs.schemas import JobFilter, JobOut, JobsRetried, JobsRetry, JobType
from database.models import JobStatus

router = create_router("/api/workspaces/{workspaceId}/jobs", "jobs")


@router.get("", operation_id="listJobs", responses=responses(NotFound))
async def list_jobs(
    member: MemberDep,
    page: PageDep,
    job_type: Annotated[JobType | None, Query(alias="type", description="Jobs of this type only.")] = None,
    status: Annotated[JobStatus | None, Query(description="Jobs in this status only.")] = None,
    since: Annotated[
        AwareDatetime | None, Query(description="Only jobs with scheduledFor at this time or later.")
    ] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only jobs with scheduledFor before this time.")] = None,
) -> Page[JobOut]:
    """List the workspace's background jobs, newest first."""
    job_filter = JobFilter(job_type=job_type, status=status, since=since, until=until)
    return to_page(JobOut, await service.list_jobs(member.session, member.workspace_id, page, job_filter), page)


@router.post("/retry", operation_id="retryJobs", responses=responses(NotFound))
async def retry_jobs(member: MemberDep, body: JobsRetry) -> JobsRetried:
    """Put all failed or all cancelled jobs of a type back on the queue, up to 10,000 at a time, oldest first."""
    job_filter = JobFilter(job_type=body.type, status=JobStatus(body.status), since=body.since, until=body.until)
    retried, remaining = await service.retry_jobs(member.session, member.workspace_id, job_filter, member.now)
    return JobsRetried(retried=retried, remaining=remaining)


@router.get("/{jobId}", operation_id="getJob", responses=responses(NotFound))
async def get_job(member: MemberDep, job_id: JobId) -> JobOut:
    """Get one background job."""
    return JobOut.of(await service.get_job(member.session, member.workspace_id, job_id))


@router.post("/{jobId}/retry", operation_id="retryJob", responses=responses(NotFound, Conflict))
async def retry_job(member: MemberDep, job_id: JobId) -> JobOut:
    """Put a failed or cancelled job back on the queue.

    Work that the job completed before it ended is not repeated: a mail is sent at most once, even if its job runs
    several times.
    """
    return JobOut.of(await service.retry_job(member.session, member.workspace_id, job_id, member.now))


@router.post("/{jobId}/cancel", operation_id="cancelJob", responses=responses(NotFound, Conflict))
async def cancel_job(member: MemberDep, job_id: JobId) -> JobOut:
    """Cancel a job that has not started. The resource that it is `about` stays unchanged until the job is retried.

    The draft of a cancelled `send_email` stays reviewed and is not sent. Pausing and resuming its sequence or
    enrollment puts all waiting drafts there on the queue again.
    """
    return JobOut.of(await service.cancel_job(member.session, member.workspace_id, job_id, member.now))
