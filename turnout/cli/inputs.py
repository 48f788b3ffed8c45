"""How the command line names data: a local path, ``file:ID``, or ``job:ID/artifact``."""

import re
from pathlib import Path
from typing import Any

import click

from turnout.cli.wording import size
from turnout.client import Client

_FILE = re.compile(r"file:([^/\s]+)")
_ARTIFACT = re.compile(r"job:([^/\s]+)/([^/\s]+)")


def input_document(client: Client, text: str) -> dict[str, Any]:
    """What the API wants in the place of that data; a local file is uploaded. Raises ``click.UsageError``."""
    if file := _FILE.fullmatch(text):
        return {"file": file[1]}
    if artifact := _ARTIFACT.fullmatch(text):
        return {"job": artifact[1], "artifact": artifact[2]}
    path = Path(text).expanduser()
    if not path.is_file():
        raise click.UsageError(f"{text!r} is no local file; or give file:ID, or job:ID/artifact.")
    uploaded = client.upload(path)
    click.echo(f"Uploaded {path.name} ({size(uploaded.size_bytes)}) as file:{uploaded.id}", err=True)
    return {"file": uploaded.id}
