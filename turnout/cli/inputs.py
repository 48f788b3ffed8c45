"""How the command line names data: a local path, ``file:ID``, ``job:ID/artifact``, or ``model:NAME``."""

import re
from pathlib import Path
from typing import Any

import click

from turnout.cli.wording import size
from turnout.client import Client
from turnout.errors import NotFound

_FILE = re.compile(r"file:([^/\s]+)")
_ARTIFACT = re.compile(r"job:([^/\s]+)/([^/\s]+)")
_MODEL = re.compile(r"model:([^/\s]+)(?:/([1-9][0-9]{0,8}))?")
_MODEL_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})(?:/([1-9][0-9]{0,8}))?")


def input_document(client: Client, text: str) -> dict[str, Any]:
    """What the API wants in the place of that data; a local file is uploaded. Raises ``click.UsageError``."""
    if file := _FILE.fullmatch(text):
        return {"file": file[1]}
    if artifact := _ARTIFACT.fullmatch(text):
        return {"job": artifact[1], "artifact": artifact[2]}
    if model := _MODEL.fullmatch(text):
        return _model(model)
    path = Path(text).expanduser()
    if path.is_file():
        uploaded = client.upload(path)
        click.echo(f"Uploaded {path.name} ({size(uploaded.size_bytes)}) as file:{uploaded.id}", err=True)
        return {"file": uploaded.id}
    if (model := _MODEL_NAME.fullmatch(text)) and _is_known(client, model):
        return _model(model)
    raise click.UsageError(
        f"{text!r} is no local file and no named model; or give file:ID, job:ID/artifact, or model:NAME."
    )


def named_model(text: str) -> tuple[str, int | None]:
    """``NAME`` or ``NAME/VERSION``, also after ``model:``. Raises ``click.BadParameter``."""
    model = _MODEL.fullmatch(text) or _MODEL_NAME.fullmatch(text)
    if model is None:
        raise click.BadParameter(f"{text!r} is no name of a model, such as churn or churn/3.")
    return model[1], int(model[2]) if model[2] else None


def _is_known(client: Client, model: re.Match[str]) -> bool:
    try:
        client.models.get(model[1], int(model[2]) if model[2] else None)
    except NotFound:
        return False
    return True


def _model(model: re.Match[str]) -> dict[str, Any]:
    return {"model": model[1], **({"version": int(model[2])} if model[2] else {})}
