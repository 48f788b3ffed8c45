"""What can be submitted, and who is there to run it."""

import click

from turnout.cli.session import Session, json_option, pass_session, print_json, print_table
from turnout.cli.wording import age, duration


@click.command(short_help="List the kinds of jobs.")
@json_option
@pass_session
def kinds(session: Session, as_json: bool) -> None:
    """List the kinds of jobs; `turnout submit KIND --help` tells more."""
    found = session.client.kinds()
    if as_json:
        print_json([vars(kind) for kind in found])
        return
    rows = [(k.name, ",".join(k.queues), duration(k.time_limit_seconds), k.doc.split("\n", 1)[0]) for k in found]
    print_table(session, ["kind", "queues", "limit", "does"], rows, right=["limit"])


@click.command()
@json_option
@pass_session
def queues(session: Session, as_json: bool) -> None:
    """Show how much lies in each queue, and who works on it."""
    found = session.client.queues()
    if as_json:
        print_json([vars(queue) for queue in found])
        return
    columns = ["queue", "waiting", "queued", "running", "oldest", "workers", "slots"]
    rows = [
        (
            q.name,
            str(q.waiting),
            str(q.queued),
            str(q.running),
            age(q.oldest_queued_at),
            str(q.live_workers),
            str(q.slots),
        )
        for q in found
    ]
    print_table(session, columns, rows, right=columns[1:])


@click.command()
@json_option
@pass_session
def workers(session: Session, as_json: bool) -> None:
    """List the workers that are there."""
    found = session.client.workers()
    if as_json:
        print_json([vars(worker) for worker in found])
        return
    rows = [(w.name, w.queue, str(w.slots), age(w.started_at), age(w.last_seen_at)) for w in found]
    print_table(session, ["worker", "queue", "slots", "up for", "last seen"], rows, right=["slots", "up for"])
