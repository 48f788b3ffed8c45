"""What comes after a submission: its id, or the way to its end."""

import click

from turnout.cli.endings import detached, ended_by, of_job
from turnout.cli.session import Session, print_json
from turnout.cli.watching import show_ending, watch
from turnout.errors import TurnoutError
from turnout.job import Job


def tell_submitted(session: Session, job: Job, *, as_json: bool) -> None:
    """The id is all there is on standard output."""
    if as_json:
        print_json(job.record.raw)
        return
    click.echo(job.id)
    session.err.print(f"Submitted. Next: turnout watch {job.id} | show | cancel", style="dim")


def follow_submitted(
    session: Session, job: Job, *, watches: bool, timeout_seconds: float | None, as_json: bool
) -> None:
    """Wait for the end and exit with its code."""
    session.err.print(f"Submitted {job.id}", style="dim")
    try:
        if watches and not as_json:
            record = watch(job, session.out, timeout_seconds)
        else:
            record = job.wait(timeout_seconds)
            if as_json:
                print_json(record.raw)
            else:
                click.echo(job.id)
                show_ending(session.err, record, None)
    except KeyboardInterrupt as exc:
        raise detached(job.id) from exc
    except TurnoutError as exc:
        raise ended_by(exc, job.id) from exc
    click.get_current_context().exit(of_job(record))
