"""Looking at jobs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from turnout.cli.endings import Exit, detached, of_job, writing
from turnout.cli.leaderboards import leaderboard_table
from turnout.cli.options import known_id, seconds, tag
from turnout.cli.session import Session, json_option, pass_session, print_fields, print_json, print_table
from turnout.cli.watching import batches, event_line, is_for_experts, show_ending, watch
from turnout.cli.webhooks import told
from turnout.cli.wording import age, as_text, duration, moment
from turnout.job import Job
from turnout.records import Event, JobRecord

STATES = ["waiting", "queued", "running", "succeeded", "failed", "cancelled"]


@click.command("ls")
@click.option("--state", type=click.Choice(STATES))
@click.option("--kind")
@click.option("--queue")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="Most jobs to list.")
@json_option
@pass_session
def ls(
    session: Session,
    state: str | None,
    kind: str | None,
    queue: str | None,
    tags: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List jobs, newest first."""
    wanted = dict(map(tag, tags))
    records = [job.record for job in session.client.jobs(state=state, kind=kind, queue=queue, tags=wanted, limit=limit)]
    if as_json:
        print_json([record.raw for record in records])
        return
    rows = [(r.id, r.kind, r.state, _percent(r), age(r.created_at), _note(r)) for r in records]
    print_table(session, ["id", "kind", "state", "done", "age", "note"], rows, right=["done", "age"])


@click.command()
@click.argument("job_id", type=known_id)
@json_option
@pass_session
def show(session: Session, job_id: str, as_json: bool) -> None:
    """Show all about a job."""
    record = session.client.job(job_id).record
    if as_json:
        print_json(record.raw)
        return
    print_fields(
        session,
        {
            "id": record.id,
            "kind": record.kind,
            "state": record.state + (f" ({record.reason})" if record.reason else ""),
            "waiting for": record.waiting_for,
            "error": str(record.error.get("message")) if record.error else None,
            "progress": f"{_percent(record)} {record.progress.message or ''}".strip(),
            "queue": f"{record.queue}, priority {record.priority}",
            "worker": record.worker,
            "attempt": f"{record.attempt} of {record.max_attempts}" if record.attempt else None,
            "submitted": moment(record.created_at),
            "started": moment(record.started_at) if record.started_at else None,
            "finished": moment(record.finished_at) if record.finished_at else None,
            "ran for": duration(record.metrics["run_seconds"]) if record.metrics.get("run_seconds") else None,
            "not before": moment(record.run_at) if record.run_at and not record.is_final else None,
            "after": ", ".join(record.after),
            "retry of": record.retry_of,
            "webhook": told(record.webhook),
            "tags": ", ".join(f"{name}={value}" for name, value in record.tags.items()),
            "spec": as_text(record.spec),
            "result": as_text(record.result) if record.result else None,
        },
    )


_timeout = click.option("--timeout", type=seconds, metavar="SECONDS", help="Wait this long at most, then exit with 6.")


@click.command("watch", short_help="Follow a job and its leaderboard.")
@click.argument("job_id", type=known_id)
@_timeout
@json_option
@pass_session
def watch_job(session: Session, job_id: str, timeout: float | None, as_json: bool) -> None:
    """Follow a job: progress, and the leaderboard as it grows. Ctrl-C detaches; the job goes on."""
    job = session.client.job(job_id)
    try:
        if as_json:
            _print_events(_following(job, timeout), only_logs=False, as_json=True)
            record = job.wait()
        else:
            record = watch(job, session.out, timeout)
    except KeyboardInterrupt as exc:
        raise detached(job_id) from exc
    click.get_current_context().exit(of_job(record))


@click.command()
@click.argument("job_ids", nargs=-1, required=True, type=known_id)
@click.option("--timeout", type=seconds, metavar="SECONDS", help="Wait this long for each at most, then exit with 6.")
@json_option
@pass_session
def wait(session: Session, job_ids: tuple[str, ...], timeout: float | None, as_json: bool) -> None:
    """Wait until jobs are final. The exit code tells how the first ended that did not succeed."""
    jobs = [session.client.job(job_id) for job_id in job_ids]
    code = Exit.SUCCEEDED
    for job in jobs:
        try:
            record = job.wait(timeout)
        except KeyboardInterrupt as exc:
            raise detached(job.id) from exc
        code = code or of_job(record)
        if not as_json:
            show_ending(session.out, record, None)
    if as_json:
        print_json([job.record.raw for job in jobs])
    click.get_current_context().exit(code)


@click.command()
@click.argument("job_id", type=known_id)
@click.option("-f", "--follow", is_flag=True, help="Go on until the job is final; the exit code tells its end.")
@click.option(
    "--all", "everything", is_flag=True, help="All events, not only log lines, and lines of the level debug too."
)
@_timeout
@json_option
@pass_session
def logs(session: Session, job_id: str, follow: bool, everything: bool, timeout: float | None, as_json: bool) -> None:
    """Print what a job logged."""
    job = session.client.job(job_id)
    follow = follow or timeout is not None
    try:
        _print_events(_following(job, timeout) if follow else job.events(), only_logs=not everything, as_json=as_json)
    except KeyboardInterrupt as exc:
        raise detached(job_id) from exc
    if follow:
        record = job.wait()
        if not as_json:
            show_ending(session.err, record, None)
        click.get_current_context().exit(of_job(record))


@click.command(short_help="Show a training's models, best first.")
@click.argument("job_id", type=known_id)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it into this .csv or .parquet file."
)
@json_option
@pass_session
def leaderboard(session: Session, job_id: str, as_csv: bool, output: Path | None, as_json: bool) -> None:
    """Show a training's models, best first; while it runs, the models so far.

    A model marked with * was kept: job:JOB_ID/MODEL_ID names it, for score_table and `turnout models add`.
    """
    job = session.client.job(job_id)
    if output is not None:
        _write_leaderboard(job, output)
        click.echo(output)
        return
    if as_csv:
        click.echo(job.leaderboard_csv(), nl=False)
        return
    board = job.leaderboard()
    if as_json:
        print_json(board.raw)
    elif board.rows:
        session.out.print(leaderboard_table(board, session.out.width))
    else:
        session.err.print("There is no model yet." if not job.record.is_final else "The job made no models.")


def _write_leaderboard(job: Job, output: Path) -> None:
    with writing(output):
        match output.suffix.lower():
            case ".csv":
                output.write_text(job.leaderboard_csv())
            case ".parquet":
                job.leaderboard().to_parquet(output)
            case other:
                raise click.UsageError(f"--output: {other or 'no ending'!r} is neither .csv nor .parquet.")


@click.command()
@click.argument("job_id", type=known_id)
@json_option
@pass_session
def attempts(session: Session, job_id: str, as_json: bool) -> None:
    """Show every run of a job and how it ended."""
    found = session.client.job(job_id).attempts()
    if as_json:
        print_json([vars(attempt) for attempt in found])
        return
    columns = ["attempt", "worker", "started", "took", "outcome", "cause"]
    rows = [
        (
            str(a.attempt),
            a.worker,
            moment(a.started_at),
            duration((a.ended_at - a.started_at).total_seconds() if a.ended_at else None),
            a.outcome,
            a.cause or a.reason or "",
        )
        for a in found
    ]
    print_table(session, columns, rows, right=["attempt", "took"])


def _following(job: Job, timeout_seconds: float | None) -> Iterator[Event]:
    """Events as they happen, until the job is final. Raises ``WaitedTooLong``."""
    for batch in batches(job, timeout_seconds):
        yield from batch


def _print_events(events: Iterable[Event], *, only_logs: bool, as_json: bool) -> None:
    for event in events:
        if only_logs and event.type != "log":
            continue
        if as_json:
            print_json(vars(event), indent=None)
        elif only_logs and is_for_experts(event):
            continue
        elif line := event_line(event):
            click.echo(line)


def _percent(record: JobRecord) -> str:
    fraction = record.progress.fraction
    return "" if fraction is None else f"{100 * fraction:.0f} %"


def _note(record: JobRecord) -> str:
    if record.error is not None:
        return str(record.error.get("message", ""))
    return record.waiting_for or (record.progress.message or "" if not record.is_final else "")
