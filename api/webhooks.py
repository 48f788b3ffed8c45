"""What a submission may say of a webhook, and what a response says of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.problems import FieldError
from db.rows import WebhookRow
from db.states import EventType
from db.webhooks import NewWebhook
from tasks.webhook_urls import LONGEST_URL, BadWebhookUrl, Network, check_submitted, parse_url


def _parsed(text: str) -> str:
    parse_url(text)
    return text


def _each_once(events: list[str]) -> list[str]:
    return list(dict.fromkeys(events))


class WebhookBody(BaseModel):
    """Where to tell of the job's course."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_parsed)] = Field(
        max_length=LONGEST_URL, description="Gets a signed POST for each event: https, at a public address."
    )
    events: Annotated[list[Literal["state", "final"]], AfterValidator(_each_once)] = Field(
        default=["final"],
        min_length=1,
        max_length=2,
        description="`final`: its end; `state`: every change of its state.",
    )

    def new_webhook(self) -> NewWebhook:
        events = [EventType(event) for event in self.events]
        return NewWebhook(self.url, parse_url(self.url).authority, events)


class WebhookView(BaseModel):
    """A job's webhook, and how its deliveries went. The URL's query, which may be secret, is left out. `tries` are
    those of the event that is being delivered, `missed` the events that were given up; `ended` says why nothing more
    comes: `delivered`, `missed`, or `gone` when the receiver answered 410."""

    url: str
    events: list[str]
    delivered: int
    missed: int
    tries: int
    next_try_at: datetime | None
    last_try_at: datetime | None
    last_status: int | None
    last_problem: str | None
    ended: str | None


class WebhookSecretView(BaseModel):
    """What an owner's webhooks are signed with."""

    secret: str


def webhook_errors(body: WebhookBody | None, allowed: Sequence[Network]) -> list[FieldError]:
    """What is wrong with it here, where only these networks may be called beside the public ones."""
    if body is None:
        return []
    try:
        check_submitted(parse_url(body.url), allowed)
    except BadWebhookUrl as exc:
        return [FieldError("webhook.url", str(exc), "webhook_refused")]
    return []


def webhook_view(row: WebhookRow | None) -> WebhookView | None:
    if row is None:
        return None
    return WebhookView(
        url=parse_url(row.url).without_query,
        events=row.events,
        delivered=row.delivered,
        missed=row.missed,
        tries=row.tries,
        next_try_at=row.due_at,
        last_try_at=row.last_try_at,
        last_status=row.last_status,
        last_problem=row.last_problem,
        ended=row.ended,
    )
