"""``turnout files``: data that jobs read."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from turnout.cli.endings import writing
from turnout.cli.file_tables import print_file
from turnout.cli.options import known_id
from turnout.cli.session import Session, json_option, pass_session, print_json, print_table
from turnout.cli.several import each
from turnout.cli.wording import age, size
from turnout.records import File


@click.group()
def files() -> None:
    """Uploaded files. A spec names one as file:ID."""


@files.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@pass_session
def upload(session: Session, paths: tuple[Path, ...], as_json: bool) -> None:
    """Upload local files; prints the id of each."""
    uploaded = [session.client.upload(path) for path in paths]
    if as_json:
        print_json([_listed(file) for file in uploaded])
        return
    for file in uploaded:
        click.echo(file.id)


@files.command("ls")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="Most files to list.")
@json_option
@pass_session
def list_files(session: Session, limit: int, as_json: bool) -> None:
    """List files, newest first."""
    found = list(session.client.files(limit))
    if as_json:
        print_json([_listed(file) for file in found])
        return
    rows = [(f.id, size(f.size_bytes), age(f.created_at), f.media_type, f.name) for f in found]
    print_table(session, ["id", "size", "age", "type", "name"], rows, right=["size", "age"])


@files.command()
@click.argument("file_id", type=known_id)
@click.option("--types", "as_types", is_flag=True, help="Print the columns' types alone, as JSON: a spec's `types`.")
@json_option
@pass_session
def show(session: Session, file_id: str, as_types: bool, as_json: bool) -> None:
    """Show a file and, if it is a table, what training would read its columns as."""
    file = session.client.file(file_id)
    if as_types:
        print_json({} if file.table is None else file.table.types)
    elif as_json:
        print_json(asdict(file))
    else:
        print_file(session, file)


@files.command("get")
@click.argument("file_id", type=known_id)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path(), help="A directory, or a name of its own."
)
@json_option
@pass_session
def get_file(session: Session, file_id: str, output: Path, as_json: bool) -> None:
    """Keep an uploaded file as a local one."""
    with writing(output):
        place = session.client.download_file(file_id, output)
    if as_json:
        print_json(str(place))
    else:
        click.echo(place)


@files.command("rm")
@click.argument("file_ids", nargs=-1, required=True, type=known_id)
@json_option
@pass_session
def remove(session: Session, file_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete files that no unfinished job reads."""

    def delete(file_id: str) -> str:
        session.client.delete_file(file_id)
        if not as_json:
            click.echo(f"{file_id} deleted")
        return file_id

    deleted, code = each(file_ids, delete)
    if as_json:
        print_json(deleted)
    click.get_current_context().exit(code)


def _listed(file: File) -> dict[str, Any]:
    """Lists have no tables."""
    return {name: value for name, value in vars(file).items() if name != "table"}
