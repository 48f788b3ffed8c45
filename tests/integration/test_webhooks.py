"""Webhooks delivered to a real receiver: each event at least once, in order, by whoever is there to do it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db.bulk import submit_all
from db.claims import Claimant, Token, claim
from db.clock import db_now
from db.engine import Database
from db.finish import fail, lose, succeed
from db.retention import forget_jobs
from db.rows import JobRow, WebhookRow
from db.states import EventType, Reason, StopRequest
from db.stops import request_stop
from db.submit import NewJob
from db.webhook_secrets import replace_secret, signing_secrets
from db.webhooks import NewWebhook, anything_untold, backlog, notice, webhooks_of
from tasks.webhook_urls import Network, parse_url
from tests.integration.rows import ask, shift
from tests.integration.worker_process import Workers
from tests.waiting import until
from tests.webhook_receiver import Receiver
from workers import webhook_sending, webhooks
from workers.webhooks import Deliverer

FINAL, STATE = EventType.FINAL, EventType.STATE
LOOPBACK = (ip_network("127.0.0.0/8"),)
Start = Callable[..., Deliverer]
# A worker's part, as a process that can be killed.
PROGRAM = """
import sys, threading
from ipaddress import ip_network
from db.engine import Database
from workers.webhooks import Deliverer
Deliverer(Database(sys.argv[1]), [ip_network("127.0.0.0/8")]).start()
threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_FIRST_PAUSE", timedelta(milliseconds=1))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(database: Database) -> Iterator[Start]:
    """Start a deliverer with connections of its own."""
    started = []

    def start(allowed: tuple[Network, ...] = LOOPBACK) -> Deliverer:
        own = Database(database.writing_engine.url)
        deliverer = Deliverer(own, allowed)
        deliverer.start()
        started.append((deliverer, own))
        return deliverer

    yield start
    for deliverer, own in started:
        deliverer.close()
        own.dispose()


def hook(url: str, *events: EventType) -> NewWebhook:
    return NewWebhook(url, parse_url(url).authority, events or (FINAL,))


def webhook_row(database: Database, job_id: str) -> WebhookRow:
    with database.read() as session:
        return webhooks_of(session, [session.get_one(JobRow, job_id)])[job_id]


def wait_for_end(database: Database, job_id: str) -> WebhookRow:
    def ended() -> WebhookRow | None:
        row = webhook_row(database, job_id)
        return row if row.ended else None

    return until(ended, 60, what="the end of the deliveries")


def secret_of(database: Database, owner_id: str) -> str:
    with database.write() as session:
        return signing_secrets(session, owner_id)[-1]


def test_the_end_of_a_job_is_delivered_once_and_signed(
    database: Database, started: Callable[..., Token], owner_id: str, receiver: Receiver, start: Start
) -> None:
    token = started(webhook=hook(receiver.url("/a?token=x")), tags={"team": "red"})
    start()
    with database.write() as session:
        succeed(session, token, {"answer": "only for its owner"}, {})
    row = wait_for_end(database, token.job_id)
    (received,) = receiver.at("/a?token=x")
    assert received.is_signed_with(secret_of(database, owner_id))
    assert received.id == f"{token.job_id}_4"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.message["type"] == "job.final"
    data = received.message["data"]
    assert (data["job_id"], data["seq"], data["state"], data["reason"]) == (token.job_id, 4, "succeeded", "completed")
    assert (data["attempt"], data["tags"], data["error"]) == (1, {"team": "red"}, None)
    assert "only for its owner" not in received.body.decode()
    assert (row.ended, row.delivered, row.missed, row.tries, row.last_status) == ("delivered", 1, 0, 1, 204)
    assert (row.due_at, row.last_problem) == (None, None)


def test_every_change_of_state_is_delivered_in_order(
    database: Database, started: Callable[..., Token], receiver: Receiver, start: Start
) -> None:
    token = started(webhook=hook(receiver.url(), STATE))
    start()
    until(lambda: len(receiver.received) == 2)
    with database.write() as session:
        fail(session, token, reason=Reason.INVALID_INPUT, message="No.", retryable=False, metrics={})
    assert wait_for_end(database, token.job_id).delivered == 3
    told = [(received.message["type"], received.message["data"]["state"]) for received in receiver.received]
    assert told == [("job.state", "queued"), ("job.state", "running"), ("job.state", "failed")]
    assert receiver.received[-1].message["data"]["error"] == {"code": "invalid_input", "message": "No."}


def test_who_wants_to_hear_of_both_hears_of_the_end_once(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    job_id = submitted(webhook=hook(receiver.url(), STATE, FINAL))
    ask(database, job_id, StopRequest.CANCEL)
    start()
    wait_for_end(database, job_id)
    told = [(received.message["type"], received.message["data"]["state"]) for received in receiver.received]
    assert told == [("job.state", "queued"), ("job.final", "cancelled")]


def test_a_failed_delivery_is_repeated_under_the_same_id(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    receiver.answers["/"] = [500, 404, 302, 204]
    receiver.redirects_to = receiver.url("/elsewhere")
    job_id = submitted(webhook=hook(receiver.url()))
    ask(database, job_id, StopRequest.CANCEL)
    start()
    row = wait_for_end(database, job_id)
    assert (row.ended, row.tries, row.delivered, row.last_status) == ("delivered", 4, 1, 204)
    assert len(receiver.received) == 4
    assert len({received.id for received in receiver.received}) == 1
    assert len({received.body for received in receiver.received}) == 1
    assert receiver.at("/elsewhere") == []


def test_who_never_answers_well_is_given_up(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TRIES", 3)
    receiver.answers["/"] = [503, 503, 503, 204]
    job_id = submitted(webhook=hook(receiver.url(), STATE))
    start()
    until(lambda: webhook_row(database, job_id).missed == 1)
    ask(database, job_id, StopRequest.CANCEL)
    row = wait_for_end(database, job_id)
    assert (row.ended, row.missed, row.delivered) == ("delivered", 1, 1)
    assert [received.message["data"]["state"] for received in receiver.received] == ["queued"] * 3 + ["cancelled"]


def test_gone_ends_it(database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start) -> None:
    receiver.answers["/"] = [410]
    job_id = submitted(webhook=hook(receiver.url(), STATE))
    other = submitted(webhook=hook(receiver.url("/other")))
    start()
    assert wait_for_end(database, job_id).ended == "gone"
    for each in (job_id, other):
        ask(database, each, StopRequest.CANCEL)
    wait_for_end(database, other)
    assert len(receiver.at("/")) == 1


def test_a_receiver_that_is_not_there_yet(database: Database, submitted: Callable[..., str], start: Start) -> None:
    first = Receiver()
    first.close()
    job_id = submitted(webhook=hook(first.url()))
    ask(database, job_id, StopRequest.CANCEL)
    start()
    until(lambda: webhook_row(database, job_id).tries >= 2)
    assert webhook_row(database, job_id).last_problem == "No connection: refused."
    there = Receiver(first.port)
    assert wait_for_end(database, job_id).ended == "delivered"
    there.close()


def test_where_it_may_not_lead_nothing_is_sent(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TRIES", 2)
    urls = [receiver.url(), receiver.url(host="localhost"), receiver.url(host="127.1"), receiver.url(host="2130706433")]
    jobs = [submitted(webhook=hook(url)) for url in urls]
    for job_id in jobs:
        ask(database, job_id, StopRequest.CANCEL)
    start(allowed=(ip_network("10.0.0.0/8"),))
    for job_id in jobs:
        row = wait_for_end(database, job_id)
        assert row.ended == "missed"
        assert "TURNOUT_WEBHOOK_ALLOW" in str(row.last_problem)
    assert receiver.received == []


def test_a_name_that_is_not_found_is_tried_again(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    job_id = submitted(webhook=hook("https://no-such-name.invalid/"))
    ask(database, job_id, StopRequest.CANCEL)
    start()
    until(lambda: webhook_row(database, job_id).tries >= 2)
    assert "could not be resolved" in str(webhook_row(database, job_id).last_problem)


def test_what_breaks_here_costs_a_try_and_no_worker(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = webhook_sending._exchange

    async def break_once(*_arguments: object) -> int:
        monkeypatch.setattr(webhook_sending, "_exchange", exchange)
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr(webhook_sending, "_exchange", break_once)
    job_id = submitted(webhook=hook(receiver.url()))
    ask(database, job_id, StopRequest.CANCEL)
    start()
    row = wait_for_end(database, job_id)
    assert (row.ended, row.tries, row.delivered) == ("delivered", 2, 1)


def test_a_slow_receiver_holds_up_nobody_else(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sending, "TOTAL_SECONDS", 60.0)
    held = threading.Event()

    def hold() -> int:
        held.wait(60)
        return 204

    slow, quick = Receiver(), receiver
    slow.answers["/"] = [hold]
    slow_jobs = [submitted(webhook=hook(slow.url())) for _ in range(webhooks.AT_ONCE + 10)]
    quick_jobs = [submitted(webhook=hook(quick.url())) for _ in range(3)]
    for job_id in slow_jobs:
        ask(database, job_id, StopRequest.CANCEL)
    start()
    until(lambda: len(slow.received) >= webhooks.AT_ONE_RECEIVER)
    for job_id in quick_jobs:
        ask(database, job_id, StopRequest.CANCEL)
    for job_id in quick_jobs:
        assert wait_for_end(database, job_id).ended == "delivered"
    assert not any(webhook_row(database, job_id).ended for job_id in slow_jobs)
    assert len(slow.received) == webhooks.AT_ONE_RECEIVER
    held.set()
    for job_id in slow_jobs:
        assert wait_for_end(database, job_id).ended == "delivered"
    assert len(slow.received) == len(slow_jobs)
    slow.close()


def test_who_is_too_slow_is_tried_again(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sending, "TOTAL_SECONDS", 0.5)
    cut = threading.Event()

    def dawdle() -> int:
        cut.wait(30)
        return 204

    receiver.answers["/"] = [dawdle, 204]
    job_id = submitted(webhook=hook(receiver.url()))
    ask(database, job_id, StopRequest.CANCEL)
    start()
    row = wait_for_end(database, job_id)
    cut.set()
    assert (row.ended, row.tries) == ("delivered", 2)


def test_a_deliverer_killed_before_it_could_write_that_down_is_followed_by_another(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    held = threading.Event()

    def hold() -> int:
        held.wait(60)
        return 204

    receiver.answers["/"] = [hold, 204]
    job_id = submitted(webhook=hook(receiver.url()))
    ask(database, job_id, StopRequest.CANCEL)
    url = database.writing_engine.url.render_as_string(hide_password=False)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    victim = subprocess.Popen([sys.executable, "-P", "-c", PROGRAM, url], env=environment)
    until(lambda: receiver.received, 60)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    held.set()
    start()
    # Its lease still holds; this is the time that passes until it does not.
    with database.write() as session:
        session.execute(update(WebhookRow).values(due_at=db_now()))
    assert wait_for_end(database, job_id).ended == "delivered"
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)


def test_while_one_deliverer_has_the_lease_no_other_delivers(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    for _ in range(3):
        start()
    jobs = [submitted(webhook=hook(receiver.url(), STATE)) for _ in range(100)]
    for job_id in jobs:
        ask(database, job_id, StopRequest.CANCEL)
    for job_id in jobs:
        assert wait_for_end(database, job_id).ended == "delivered"
    ids = [received.id for received in receiver.received]
    assert len(ids) == len(set(ids)) == 200
    for job_id in jobs:
        states = [r.message["data"]["state"] for r in receiver.received if r.message["data"]["job_id"] == job_id]
        assert states == ["queued", "cancelled"]


def test_a_thousand_jobs(database: Database, owner_id: str, receiver: Receiver, start: Start) -> None:
    new = NewJob(
        owner_id=owner_id, kind="check_worker", queue="cpu", spec={}, max_attempts=1, webhook=hook(receiver.url())
    )
    with database.write() as session:
        ids = {accepted.job_id for accepted in submit_all(session, owner_id, [new] * 1000)}
    with database.write() as session:
        for job in session.scalars(select(JobRow).where(JobRow.id.in_(ids)).order_by(JobRow.id)).all():
            request_stop(session, job, StopRequest.CANCEL)
    start()
    start()
    until(lambda: len(receiver.received) >= 1000, 120)
    until(lambda: _ended(database) == 1000)
    assert {received.message["data"]["job_id"] for received in receiver.received} == ids
    assert len(receiver.received) == 1000


def _ended(database: Database) -> int:
    with database.read() as session:
        return len(session.scalars(select(WebhookRow.job_id).where(WebhookRow.ended == "delivered")).all())


def test_a_job_that_is_back_in_a_state_has_news_all_the_same(
    database: Database, started: Callable[..., Token], claimant: Claimant
) -> None:
    token = started(webhook=hook("https://hooks.example/", STATE))
    quiet = started(webhook=hook("https://hooks.example/"))
    with database.write() as session:
        assert notice(session) == 1
        assert not anything_untold(session)
    for each in (token, quiet):
        with database.write() as session:
            lose(session, each, cause="It died.")
            claim(session, [each.job_id], claimant)
    with database.write() as session:
        assert anything_untold(session)
        assert notice(session) == 1
        assert not anything_untold(session)


@pytest.fixture
def _loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For worker processes, which take the test's environment."""
    monkeypatch.setenv("TURNOUT_WEBHOOK_ALLOW", "127.0.0.0/8")


@pytest.mark.usefixtures("_loopback_allowed")
def test_a_worker_process_delivers(
    database: Database, submitted: Callable[..., str], workers: Workers, receiver: Receiver
) -> None:
    workers.start()
    spec = {"kind": "check_worker", "message": "hi"}
    job_id = submitted(spec=spec, webhook=hook(receiver.url(), STATE, FINAL))
    assert wait_for_end(database, job_id).ended == "delivered"
    told = [(received.message["type"], received.message["data"]["state"]) for received in receiver.received]
    assert told == [("job.state", "queued"), ("job.state", "running"), ("job.final", "succeeded")]


def test_a_job_without_a_webhook_is_told_to_nobody(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    without, told = submitted(), submitted(webhook=hook(receiver.url()))
    for job_id in (without, told):
        ask(database, job_id, StopRequest.CANCEL)
    start()
    wait_for_end(database, told)
    assert [received.message["data"]["job_id"] for received in receiver.received] == [told]


def test_a_replaced_secret_signs_along(
    database: Database, submitted: Callable[..., str], owner_id: str, receiver: Receiver, start: Start
) -> None:
    oldest = secret_of(database, owner_id)
    replaced = []
    for _ in range(2):
        with database.write() as session:
            replaced.append(replace_secret(session, owner_id))
    job_id = submitted(webhook=hook(receiver.url()))
    ask(database, job_id, StopRequest.CANCEL)
    start()
    wait_for_end(database, job_id)
    (received,) = receiver.received
    assert all(received.is_signed_with(secret) for secret in replaced)
    assert not received.is_signed_with(oldest)


def test_a_webhook_goes_with_its_job(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    job_id = submitted(webhook=hook(receiver.url()))
    ask(database, job_id, StopRequest.CANCEL)
    shift(database, job_id, finished_at=-1000)
    with database.write() as session:
        assert forget_jobs(session, timedelta(seconds=500)).rows == 1
    with database.read() as session:
        assert session.scalars(select(WebhookRow)).all() == []
        assert backlog(session).due == 0


def test_what_was_forgotten_before_it_was_delivered_is_missed(
    database: Database, submitted: Callable[..., str], receiver: Receiver, start: Start
) -> None:
    job_id = submitted(webhook=hook(receiver.url()))
    ask(database, job_id, StopRequest.CANCEL)
    with database.writing_engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM events")
    start()
    row = wait_for_end(database, job_id)
    assert (row.ended, row.delivered) == ("missed", 0)
    assert receiver.received == []
