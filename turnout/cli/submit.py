"""``turnout submit KIND``: a command for each kind that the server knows."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from turnout.cli.endings import Ended, Exit, detached, ended_by, of_job
from turnout.cli.kind_options import KindOptions
from turnout.cli.options import seconds, tag
from turnout.cli.session import Session, print_json
from turnout.cli.watching import show_ending, watch
from turnout.errors import NotFound, TurnoutError
from turnout.job import Job
from turnout.records import KindRecord


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
        idempotency_key=given["idempotency_key"],
    )
    if given["wait"] or given["watch"] or given["timeout"] is not None:
        _follow(session, job, given)
    if given["as_json"]:
        print_json(job.record.raw)
        return
    click.echo(job.id)
    session.err.print(f"Submitted. Next: turnout watch {job.id} | show | cancel", style="dim")


def _follow(session: Session, job: Job, given: dict[str, Any]) -> None:
    """Wait for the end and exit with its code."""
    session.err.print(f"Submitted {job.id}", style="dim")
    try:
        if given["watch"] and not given["as_json"]:
            record = watch(job, session.out, given["timeout"])
        else:
            record = job.wait(given["timeout"])
            if given["as_json"]:
                print_json(record.raw)
            else:
                click.echo(job.id)
                show_ending(session.err, record, None)
    except KeyboardInterrupt as exc:
        raise detached(job.id) from exc
    except TurnoutError as exc:
        raise ended_by(exc, job.id) from exc
    click.get_current_context().exit(of_job(record))


def _session(ctx: click.Context) -> Session:
    session = ctx.find_object(Session)
    if session is None:
        raise Ended("the command was started without its session", Exit.USAGE)
    return session


def _spec_from(place: str | None) -> dict[str, Any]:
    if place is None:
        return {}
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text()
        spec = json.loads(text)
    except (OSError, ValueError) as exc:
        raise click.UsageError(f"--spec {place}: {exc}") from exc
    if not isinstance(spec, dict):
        raise click.UsageError(f"--spec {place}: a spec is a JSON object.")
    return spec


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        return when if when.tzinfo else when.astimezone().astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise click.UsageError(f"--run_at: {text!r} is no time, such as 2030-01-31T08:00:00Z.") from exc
