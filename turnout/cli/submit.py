"""``turnout submit KIND``: a command for each kind that the server knows."""

import errno
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from turnout.cli.endings import Ended, Exit
from turnout.cli.following import follow_submitted, tell_submitted
from turnout.cli.kind_options import KindOptions
from turnout.cli.options import seconds, tag
from turnout.cli.session import Session
from turnout.errors import NotFound, TurnoutError
from turnout.records import KindRecord
from turnout.submissions import Webhook


def _job_options() -> list[click.Option]:
    """What can be said about every job, whatever its kind."""
    return [
        click.Option(
            ["--spec", "spec_file"], metavar="FILE", help="Read the spec as JSON from a file, or - for stdin."
        ),
        click.Option(["--wait"], is_flag=True, help="Wait for the end; the exit code tells it."),
        click.Option(["--watch"], is_flag=True, help="Wait, and show progress and leaderboard as they grow."),
        click.Option(["--timeout"], type=seconds, metavar="SECONDS", help="Wait this long at most, then exit with 6."),
        click.Option(["--queue"], help="One of the kind's queues."),
        click.Option(["--priority"], type=click.IntRange(0, 9), help="9 goes first; 4 if not given."),
        click.Option(["--deadline_seconds"], type=seconds, help="Fail when not done this long after submission."),
        click.Option(["--time_limit_seconds"], type=seconds, help="Longest time of one attempt."),
        click.Option(["--max_attempts"], type=int, help="How often to try."),
        click.Option(["--run_at"], metavar="TIME", help="Not before this time, such as 2030-01-31T08:00:00Z."),
        click.Option(["--after"], multiple=True, metavar="JOB", help="Only after this job succeeded; repeatable."),
        click.Option(["--tag", "tags"], multiple=True, metavar="NAME=VALUE", help="A label of your own; repeatable."),
        click.Option(["--webhook"], metavar="URL", help="Tell this address of the job's end."),
        click.Option(
            ["--webhook_events"],
            multiple=True,
            type=click.Choice(["final", "state"]),
            help="What to tell it: the end (if not given), or every change of state; repeatable.",
        ),
        click.Option(["--idempotency_key"], help="Submitting again with the same key finds the first job."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the job as JSON."),
    ]


class Submit(click.Group):
    """Its commands are the server's kinds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [kind.name for kind in _session(ctx).client.kinds()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        try:
            return _command(_session(ctx).client.kind(cmd_name))
        except NotFound:
            return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        try:
            kinds = _session(ctx).client.kinds()
        except TurnoutError as exc:
            with formatter.section("Kinds"):
                formatter.write_text(f"They can't be listed now. {exc}")
            return
        with formatter.section("Kinds"):
            formatter.write_dl([(kind.name, kind.doc.split("\n", 1)[0]) for kind in kinds])


submit = Submit(
    "submit",
    help="Submit a job. `turnout submit KIND --help` shows the kind's options.",
    subcommand_metavar="KIND [--field value …]",
)


def _command(kind: KindRecord) -> click.Command:
    job_options = _job_options()
    options = KindOptions(kind.spec_schema, [option.opts[0].removeprefix("--") for option in job_options])

    def run(**given: Any) -> None:
        ctx = click.get_current_context()
        _submit(_session(ctx), kind, options, given)

    return click.Command(
        kind.name,
        params=[*options.options(), *job_options],
        callback=run,
        help=kind.doc,
        epilog=options.epilog(),
        # Dashes are as good as underscores.
        context_settings={"token_normalize_func": lambda name: name.replace("-", "_")},
    )


def _submit(session: Session, kind: KindRecord, options: KindOptions, given: dict[str, Any]) -> None:
    spec = {**_spec_from(given["spec_file"]), **options.spec(session.client, given)}
    job = session.client.submit(
        kind.name,
        spec,
        queue=given["queue"],
        priority=given["priority"],
        deadline_seconds=given["deadline_seconds"],
        time_limit_seconds=given["time_limit_seconds"],
        max_attempts=given["max_attempts"],
        run_at=_time(given["run_at"]),
        after=given["after"],
        tags=dict(map(tag, given["tags"])),
        webhook=_webhook(given["webhook"], given["webhook_events"]),
        idempotency_key=given["idempotency_key"],
    )
    if given["wait"] or given["watch"] or given["timeout"] is not None:
        follow_submitted(
            session, job, watches=given["watch"], timeout_seconds=given["timeout"], as_json=given["as_json"]
        )
    tell_submitted(session, job, as_json=given["as_json"])


def _session(ctx: click.Context) -> Session:
    session = ctx.find_object(Session)
    if session is None:
        raise Ended("the command was started without its session", Exit.USAGE)
    return session


def _spec_from(place: str | None) -> dict[str, Any]:
    if place is None:
        return {}
    try:
        spec = json.loads(_content_of(place))
    except OSError as exc:
        raise click.UsageError(f"--spec {place}: It can't be read: {exc.strerror}.") from exc
    except RecursionError as exc:
        raise click.UsageError(f"--spec {place}: It is nested too deeply.") from exc
    except ValueError as exc:
        raise click.UsageError(f"--spec {place}: It is no JSON: {exc}.") from exc
    if not isinstance(spec, dict):
        raise click.UsageError(f"--spec {place}: a spec is a JSON object.")
    return spec


def _content_of(place: str) -> bytes:
    """As bytes: JSON has encodings of its own, whatever the terminal's is. Raises ``OSError``."""
    if place != "-":
        return Path(place).read_bytes()
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.buffer.read()


def _webhook(url: str | None, events: tuple[str, ...]) -> Webhook | str | None:
    if not events:
        return url
    if url is None:
        raise click.UsageError("--webhook-events: Give the --webhook that is to hear of them.")
    return Webhook(url, events)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        return when if when.tzinfo else when.astimezone().astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise click.UsageError(f"--run_at: {text!r} is no time, such as 2030-01-31T08:00:00Z.") from exc
