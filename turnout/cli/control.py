"""Ending jobs, and running them anew."""

import webbrowser

import click

from turnout.cli.following import follow_submitted, tell_submitted
from turnout.cli.options import known_id, seconds
from turnout.cli.session import Session, json_option, pass_session, print_json
from turnout.cli.several import each
from turnout.records import JobRecord


@click.command()
@click.argument("job_ids", nargs=-1, required=True, type=known_id)
@json_option
@pass_session
def cancel(session: Session, job_ids: tuple[str, ...], as_json: bool) -> None:
    """End jobs and discard what they did."""
    _end(session, job_ids, keep=False, as_json=as_json)


@click.command()
@click.argument("job_ids", nargs=-1, required=True, type=known_id)
@json_option
@pass_session
def stop(session: Session, job_ids: tuple[str, ...], as_json: bool) -> None:
    """End jobs early and keep their best so far."""
    _end(session, job_ids, keep=True, as_json=as_json)


def _end(session: Session, job_ids: tuple[str, ...], *, keep: bool, as_json: bool) -> None:
    def end(job_id: str) -> JobRecord:
        record = (session.client.stop(job_id) if keep else session.client.cancel(job_id)).record
        if not as_json:
            asked = "will stop and keep its best so far" if keep else "is being cancelled"
            click.echo(f"{record.id} {record.state if record.is_final else asked}")
        return record

    records, code = each(job_ids, end)
    if as_json:
        print_json([record.raw for record in records])
    click.get_current_context().exit(code)


@click.command(short_help="Submit a failed or cancelled job anew.")
@click.argument("job_id", type=known_id)
@click.option("--wait", "waits", is_flag=True, help="Wait for the new job's end; the exit code tells it.")
@click.option("--watch", "watches", is_flag=True, help="Wait, and show progress and leaderboard as they grow.")
@click.option("--timeout", type=seconds, metavar="SECONDS", help="Wait this long at most, then exit with 6.")
@json_option
@pass_session
def retry(session: Session, job_id: str, waits: bool, watches: bool, timeout: float | None, as_json: bool) -> None:
    """Submit a job that failed or was cancelled once more, as a new job; prints its id."""
    job = session.client.retry(job_id)
    if waits or watches or timeout is not None:
        follow_submitted(session, job, watches=watches, timeout_seconds=timeout, as_json=as_json)
    tell_submitted(session, job, as_json=as_json)


@click.command("open", short_help="Print the address of the server's pages.")
@click.argument("job_id", required=False, type=known_id)
@json_option
@pass_session
def open_page(session: Session, job_id: str | None, as_json: bool) -> None:
    """Print the address of the server's pages, or of a job, and open the former in a browser."""
    url = session.client.job(job_id).url if job_id else f"{session.client.url}/docs"
    if as_json:
        print_json({"url": url})
        return
    click.echo(url)
    # A job's address needs the key in a header, which no browser sends.
    if job_id is None:
        webbrowser.open(url)
