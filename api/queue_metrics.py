"""The state of the queues, as the database has it, in Prometheus' form."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.hinter import Hinter
from db.figures import QueueFigures
from db.webhooks import Backlog

_QUEUE_GAUGES: tuple[tuple[str, str, Callable[[QueueFigures], float | None]], ...] = (
    ("turnout_queue_oldest_age_seconds", "Age of the oldest queued job.", lambda f: f.oldest_queued_age),
    ("turnout_queue_hinted_jobs", "Queued jobs that the broker has a hint for.", lambda f: f.hinted),
    ("turnout_queue_workers", "Live workers.", lambda f: f.workers),
    ("turnout_queue_slots", "Jobs that the live workers can run at once.", lambda f: f.slots),
    ("turnout_models_held", "Models that the live workers' runners keep loaded.", lambda f: f.models),
    ("turnout_model_bytes", "What these models take.", lambda f: f.model_bytes),
    ("turnout_leases_held", "Leases of running jobs that hold.", lambda f: f.leases_held),
    ("turnout_leases_lapsed", "Leases that lapsed and that no sweep has ended yet.", lambda f: f.leases_lapsed),
    ("turnout_lease_oldest_renewal_age_seconds", "Since the least recent renewal.", lambda f: f.oldest_renewal_age),
    ("turnout_lease_next_expiry_seconds", "Until the next lease that holds would lapse.", lambda f: f.next_expiry),
)


def queue_metrics(figures: Mapping[str, QueueFigures]) -> Iterator[Metric]:
    """Where a queue has nothing to measure, such as an age, it has no sample."""
    help_text = "Jobs by queue and state; final ones until they are forgotten."
    jobs = GaugeMetricFamily("turnout_jobs", help_text, labels=["queue", "state"])
    for queue, of_queue in figures.items():
        for state, count in of_queue.jobs.items():
            jobs.add_metric([queue, state], count)
    yield jobs
    for name, help_text, measure in _QUEUE_GAUGES:
        gauge = GaugeMetricFamily(name, help_text, labels=["queue"])
        for queue, of_queue in figures.items():
            value = measure(of_queue)
            if value is not None:
                gauge.add_metric([queue], value)
        yield gauge


def webhook_metrics(waiting: Backlog, now: datetime) -> Iterator[Metric]:
    """Messages that wait for their next try are not due."""
    yield GaugeMetricFamily("turnout_webhooks_due", "Jobs whose webhook has a message due.", value=waiting.due)
    age = GaugeMetricFamily("turnout_webhook_oldest_due_age_seconds", "How long the first of these has been due.")
    if waiting.oldest_due_at is not None:
        age.add_metric([], (now - waiting.oldest_due_at).total_seconds())
    yield age


def hint_metrics(hinter: Hinter) -> Iterator[Metric]:
    """Workers send hints too; these are the API's."""
    yield CounterMetricFamily("turnout_hints_sent", "Hints that this API process sent.", value=hinter.sent)
    help_text = "Times that the broker did not take this API process's hints."
    yield CounterMetricFamily("turnout_hint_failures", help_text, value=hinter.refused)
    answers = GaugeMetricFamily("turnout_broker_answers", "Whether the broker took the last hints: 1 or 0.")
    if hinter.broker_answers is not None:
        answers.add_metric([], float(hinter.broker_answers))
    yield answers
