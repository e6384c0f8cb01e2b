"""HTTP for previews."""

from api.http.dependencies import MemberDep
from api.http.errors import Conflict, NotFound, responses
from api.http.routing import ImportId, create_router
from api.imports.preview import service
from api.imports.preview.schemas import Preview, PreviewRow, PreviewSamples, SampleValues, differences
from api.imports.preview.service import Sample

router = create_router("/api/workspaces/{workspaceId}/imports", "imports")


@router.get("/{importId}/preview", operation_id="previewImport", responses=responses(NotFound, Conflict))
async def preview(member: MemberDep, import_id: ImportId) -> Preview:
    """What a commit would do now, with sample rows; nothing is written."""
    found = await service.preview_import(member.session, member.workspace, import_id, member.now)
    samples = {outcome.value: [_row(one) for one in rows] for outcome, rows in found.samples.items()}
    return Preview(
        row_count=found.row_count,
        **{outcome.value: count for outcome, count in found.counts.items()},
        samples=PreviewSamples(**{outcome.value: samples.get(outcome.value, []) for outcome in found.counts}),
    )


def _row(sample: Sample) -> PreviewRow:
    return PreviewRow(
        line_number=sample.line_number,
        cells=sample.cells,
        email=sample.email,
        reason=sample.problem,
        first_line=sample.first_line,
        lead_id=sample.lead_id,
        values=SampleValues(**sample.values) if sample.values is not None else None,
        differences=differences(sample.before, sample.after),
    )
