"""Ending jobs, and fetching what they made."""

import webbrowser
from pathlib import Path

import click

from turnout.cli.options import known_id
from turnout.cli.session import Session, json_option, pass_session, print_json, print_table
from turnout.cli.wording import size


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
    records = []
    for job_id in job_ids:
        job = session.client.job(job_id)
        record = job.stop() if keep else job.cancel()
        records.append(record)
        if not as_json:
            asked = "will stop and keep its best so far" if keep else "is being cancelled"
            click.echo(f"{record.id} {record.state if record.is_final else asked}")
    if as_json:
        print_json([record.raw for record in records])


class _ListsByDefault(click.Group):
    """``artifacts JOB`` is short for ``artifacts ls JOB``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["ls", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListsByDefault, subcommand_metavar="JOB_ID | get JOB_ID [NAMES]")
def artifacts() -> None:
    """The files that a job saved: plots, tables, models, logs."""


@artifacts.command("ls")
@click.argument("job_id", type=known_id)
@json_option
@pass_session
def list_artifacts(session: Session, job_id: str, as_json: bool) -> None:
    """List a job's artifacts."""
    found = session.client.job(job_id).artifacts()
    if as_json:
        print_json([vars(artifact) for artifact in found])
        return
    rows = [(a.name, a.media_type, size(a.size_bytes)) for a in found]
    print_table(session, ["name", "type", "size"], rows, right=["size"])


@artifacts.command("get")
@click.argument("job_id", type=known_id)
@click.argument("names", nargs=-1)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path(), help="A directory; for one artifact, or a file."
)
@json_option
@pass_session
def get_artifacts(session: Session, job_id: str, names: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Keep artifacts as local files; all of them if none is named."""
    job = session.client.job(job_id)
    wanted = names or tuple(artifact.name for artifact in job.artifacts())
    if len(wanted) != 1:
        output.mkdir(parents=True, exist_ok=True)
    places = [job.download(name, output) for name in wanted]
    if as_json:
        print_json([str(place) for place in places])
        return
    for place in places:
        click.echo(place)


@click.command("open")
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
