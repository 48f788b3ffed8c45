"""The figures of the whole Turnout and of this API process, for Prometheus."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.auth import Holder
from api.problems import Problem
from api.queue_metrics import hint_metrics, queue_metrics, webhook_metrics
from api.services import Services, ServicesOf
from db.clock import read_now
from db.figures import queue_figures
from db.webhooks import backlog
from tasks.queues import Queue

router = APIRouter(tags=["health"])


class _Reading(Collector):
    """What is true at this moment, with what was gathered until now."""

    def __init__(self, services: Services) -> None:
        with services.database.read() as session:
            self._queues = queue_figures(session, [queue.value for queue in Queue])
            services.figures.attempts.look(session)
            self._webhooks, self._now = backlog(session), read_now(session)
        self._services = services

    def collect(self) -> Iterator[Metric]:
        yield from queue_metrics(self._queues)
        yield from webhook_metrics(self._webhooks, self._now)
        yield from hint_metrics(self._services.hinter)
        yield from self._services.figures.registry.collect()


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
)
def get_metrics(holder: Holder, services: ServicesOf, accept: Annotated[str, Header()] = "") -> Response:
    """Only for admin keys: the figures are of all owners' jobs."""
    if not holder.admin:
        detail = "Metrics are of all owners' jobs; use an admin key."
        raise Problem(HTTPStatus.FORBIDDEN, "admin_needed", detail)
    encode, content_type = _encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Reading(services))
    return Response(encode(registry), media_type=content_type)


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except TypeError:
        # It compares a version that is no number with numbers.
        return choose_encoder("")
