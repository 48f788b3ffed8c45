"""What jobs saved, as lists and as local files."""

from collections.abc import Sequence
from pathlib import Path

import click

from turnout.cli.endings import writing
from turnout.cli.options import known_id
from turnout.cli.session import Session, json_option, pass_session, print_json, print_table
from turnout.cli.wording import size
from turnout.job import Job
from turnout.records import Artifact


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
    _show(session, session.client.artifacts(job_id), as_json=as_json)


@artifacts.command("get")
@click.argument("job_id", type=known_id)
@click.argument("names", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path(),
    help="A directory; for one artifact also a name of its own.",
)
@json_option
@pass_session
def get_artifacts(session: Session, job_id: str, names: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Keep artifacts as local files; all of them if none is named."""
    job = session.client.job(job_id)
    wanted = names or tuple(artifact.name for artifact in job.artifacts())
    if not wanted:
        session.err.print("The job saved no artifacts.")
    _keep(job, wanted, output, as_json=as_json)


@click.command()
@click.argument("job_id", type=known_id)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Keep them in this directory, which is made if need be."
)
@json_option
@pass_session
def plots(session: Session, job_id: str, output: Path | None, as_json: bool) -> None:
    """List a job's pictures, or keep them as local files with -o."""
    job = session.client.job(job_id)
    pictures = [artifact for artifact in job.artifacts() if artifact.media_type.startswith("image/")]
    if output is None or not pictures:
        _show(session, pictures, as_json=as_json)
        return
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    _keep(job, [picture.name for picture in pictures], output, as_json=as_json)


def _show(session: Session, found: Sequence[Artifact], *, as_json: bool) -> None:
    if as_json:
        print_json([vars(artifact) for artifact in found])
        return
    rows = [(a.name, a.media_type, size(a.size_bytes)) for a in found]
    print_table(session, ["name", "type", "size"], rows, right=["size"])


def _keep(job: Job, names: Sequence[str], output: Path, *, as_json: bool) -> None:
    """Several go into a directory; one may be given its own name."""
    places = []
    for name in names:
        with writing(output):
            if len(names) > 1:
                output.mkdir(parents=True, exist_ok=True)
            places.append(job.download(name, output))
        if not as_json:
            click.echo(places[-1])
    if as_json:
        print_json([str(place) for place in places])
