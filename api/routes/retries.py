"""Running a job anew."""

from fastapi import APIRouter, Response

from api.auth import Holder, visible_owner
from api.job_views import JobView, job_view
from api.problems import not_found
from api.retrying import accept_retry
from api.routes.submissions import IdempotencyKey
from api.services import ServicesOf
from db.jobs import find

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("/{job_id}/retry", status_code=202, summary="A new job from one that failed or was cancelled")
def retry(
    holder: Holder, services: ServicesOf, response: Response, job_id: str, idempotency_key: IdempotencyKey = None
) -> JobView:
    """The same spec, queue, priority, limits, tags, webhook and `after`, at once; `retry_of` names the job it comes
    from. It goes on from that one's checkpoint where the kind allows it, else it begins anew. 409 for a job that
    succeeded, is not final yet, or could only fail again because its data is gone."""
    job, is_new = accept_retry(services, holder, job_id, idempotency_key)
    if is_new:
        services.hinter.poke(job.queue)
    else:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    with services.database.read() as session:
        found = find(session, job.id, visible_owner(holder))
        if found is None:
            raise not_found("job", job.id)
        return job_view(session, found)
