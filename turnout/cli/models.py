"""``turnout models``: names for models."""

import re
from pathlib import Path

import click

from turnout.cli.comparisons import print_comparison
from turnout.cli.endings import writing
from turnout.cli.inputs import named_model
from turnout.cli.options import tag
from turnout.cli.session import Session, json_option, pass_session, print_fields, print_json, print_table
from turnout.cli.several import each
from turnout.cli.wording import age, moment, size
from turnout.model_calls import Source
from turnout.records import HubModel, ModelVersion

_FILE = re.compile(r"file:([^/\s]+)")
_ARTIFACT = re.compile(r"job:([^/\s]+)(?:/([^/\s]+))?")
_HUB = re.compile(r"hub:([^@\s]+)(?:@(\S+))?")
_LEADER = "model.zip"


@click.group()
def models() -> None:
    """Names for models. A spec names one as model:NAME, or model:NAME/VERSION."""


@models.command("add", short_help="Give a model a name.")
@click.argument("name")
@click.argument("source", metavar="PATH|file:ID|job:ID[/ARTIFACT]|hub:ORG/NAME@REVISION")
@click.option("--description", default="", help="What it is.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A label of your own; repeatable.")
@json_option
@pass_session
def add(session: Session, name: str, source: str, description: str, tags: tuple[str, ...], as_json: bool) -> None:
    """Give a model a name. A name that is there already gets a further version, which it stands for from now on.

    job:ID is the training's best model; job:ID/MODEL_ID another one that it kept (`turnout leaderboard ID` marks them).
    """
    made = session.client.models.add(name, _source(source), description=description, tags=dict(map(tag, tags)))
    if as_json:
        print_json(vars(made))
    else:
        click.echo(f"{made.name}/{made.version}")


@models.command("ls")
@click.argument("name", required=False)
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1), help="Most to list.")
@json_option
@pass_session
def list_models(session: Session, name: str | None, limit: int, as_json: bool) -> None:
    """List models with their newest versions, or all versions of one name."""
    if name is None:
        found = list(session.client.models.list(limit))
    else:
        found = list(session.client.models.versions(named_model(name)[0]))[:limit]
    if as_json:
        print_json([vars(version) for version in found])
        return
    rows = [
        (f"{m.name}/{m.version}", _size(m), age(m.created_at), _source_text(m), m.description.split("\n", 1)[0])
        for m in found
    ]
    print_table(session, ["model", "size", "age", "source", "description"], rows, right=["size", "age"])


@models.command("show")
@click.argument("model", type=named_model, metavar="NAME[/VERSION]")
@json_option
@pass_session
def show(session: Session, model: tuple[str, int | None], as_json: bool) -> None:
    """Show what a name stands for."""
    found = session.client.models.get(*model)
    if as_json:
        print_json(vars(found))
        return
    print_fields(
        session,
        {
            "name": found.name,
            "version": str(found.version),
            "source": _source_text(found),
            "description": found.description,
            "tags": ", ".join(f"{name}={value}" for name, value in found.tags.items()),
            "type": found.media_type,
            "size": _size(found),
            "sha256": found.sha256,
            "named": moment(found.created_at),
        },
    )


@models.command("get")
@click.argument("model", type=named_model, metavar="NAME[/VERSION]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path(), help="A directory, or a name of its own."
)
@json_option
@pass_session
def get(session: Session, model: tuple[str, int | None], output: Path, as_json: bool) -> None:
    """Keep a model as a local file; prints its SHA-256, which was checked, and where it lies."""
    found = session.client.models.get(*model)
    with writing(output):
        place = session.client.models.download(found.name, output, version=found.version)
    if as_json:
        print_json({"path": str(place), "version": found.version, "sha256": found.sha256})
    else:
        click.echo(f"{found.sha256}  {place}")


@models.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME[/VERSION]…")
@json_option
@pass_session
def remove(session: Session, names: tuple[str, ...], as_json: bool) -> None:
    """Delete names with all their versions, or single versions. What they stand for is left alone."""
    parsed = {text: named_model(text) for text in names}

    def delete(text: str) -> str:
        session.client.models.delete(*parsed[text])
        if not as_json:
            click.echo(f"{text} deleted")
        return text

    deleted, code = each(names, delete)
    if as_json:
        print_json(deleted)
    click.get_current_context().exit(code)


@models.command("compare")
@click.argument("named", nargs=-1, required=True, metavar="NAME[/VERSION] NAME[/VERSION]…")
@json_option
@pass_session
def compare_models(session: Session, named: tuple[str, ...], as_json: bool) -> None:
    """Compare the trainings that named models come from."""
    items = [_item(*named_model(text)) for text in named]
    print_comparison(session, session.client.compare(*items), as_json=as_json)


def _item(name: str, version: int | None) -> str:
    return f"model:{name}" if version is None else f"model:{name}/{version}"


def _source(text: str) -> Source:
    if hub := _HUB.fullmatch(text):
        return HubModel(hub[1], hub[2] or "main")
    if file := _FILE.fullmatch(text):
        return {"file": file[1]}
    if job := _ARTIFACT.fullmatch(text):
        return {"job": job[1], "artifact": job[2] or _LEADER}
    path = Path(text).expanduser()
    if not path.is_file():
        raise click.UsageError(
            f"{text!r} is no local file; or give file:ID, job:ID, job:ID/ARTIFACT, or hub:ORG/NAME@REVISION."
        )
    return path


def _source_text(version: ModelVersion) -> str:
    source = version.source
    if "hub" in source:
        return f"hub:{source['hub']}@{source['revision']}"
    return f"job:{source['job']}/{source['artifact']}" if "job" in source else f"file:{source['file']}"


def _size(version: ModelVersion) -> str:
    return "-" if version.size_bytes is None else size(version.size_bytes)
