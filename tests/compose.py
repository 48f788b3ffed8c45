"""``deploy/compose.yaml`` and the Dockerfiles that it builds, read as Docker reads them."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")


class Refused(Exception):
    """Compose would not start: a variable that it must have is empty."""


@dataclass(frozen=True)
class Mount:
    """``volume`` is None for one of the container's own, which nobody shares."""

    volume: str | None
    target: str
    read_only: bool


class Dockerfile:
    """The instructions of a file's last stage, and what it copies into any."""

    def __init__(self, path: Path) -> None:
        text = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE))
        self.instructions = [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]
        last = max(number for number, (word, _rest) in enumerate(self.instructions) if word == "FROM")
        self.last_stage = self.instructions[last:]
        self.bases = [rest.split()[0] for word, rest in self.instructions if word == "FROM"]

    def one(self, word: str) -> str | None:
        """The last stage's instruction of that name."""
        found = [rest for name, rest in self.last_stage if name == word]
        return found[-1] if found else None

    def words(self, word: str) -> list[str]:
        """An instruction in exec form; an empty list without it."""
        said = self.one(word)
        if said is None:
            return []
        found: list[str] = json.loads(said)
        return found

    @property
    def environment(self) -> dict[str, str]:
        pairs = [word.partition("=") for word in shlex.split(self.one("ENV") or "")]
        return {name: value for name, _equals, value in pairs}

    @property
    def healthcheck(self) -> list[str]:
        said = self.one("HEALTHCHECK")
        return [] if said is None else json.loads(said.partition("CMD ")[2])

    @property
    def sources(self) -> list[str]:
        """What is copied from the build's context."""
        copies = [rest.split() for word, rest in self.instructions if word == "COPY" and "--from=" not in rest]
        return [source for words in copies for source in words[:-1]]


@dataclass(frozen=True)
class Service:
    """One service; ``options`` are its own words in the file."""

    name: str
    options: Mapping[str, Any]

    @property
    def dockerfile(self) -> Dockerfile | None:
        build = self.options.get("build")
        return None if build is None else Dockerfile(DEPLOY / build["context"] / build["dockerfile"])

    @property
    def command(self) -> Sequence[str]:
        """All words of it; of an image that is not ours, those that its own entrypoint is given."""
        file = self.dockerfile
        if "entrypoint" in self.options:
            return [*self.options["entrypoint"], *self.options.get("command", ())]
        if file is None:
            return list(self.options["command"])
        return [*file.words("ENTRYPOINT"), *self.options.get("command", file.words("CMD"))]

    @property
    def module(self) -> str | None:
        """What ``python -P -m`` runs."""
        words = self.command
        return words[3] if list(words[:3]) == ["python", "-P", "-m"] else None

    @property
    def environment(self) -> dict[str, str]:
        file = self.dockerfile
        return {**({} if file is None else file.environment), **self.options.get("environment", {})}

    @property
    def mounts(self) -> list[Mount]:
        parsed = [entry.split(":") for entry in self.options.get("volumes", ())]
        return [
            Mount(None, words[0], False) if len(words) == 1 else Mount(words[0], words[1], words[2:] == ["ro"])
            for words in parsed
        ]

    @property
    def tmpfs(self) -> list[str]:
        return [entry.partition(":")[0] for entry in self.options.get("tmpfs", ())]

    @property
    def port(self) -> int | None:
        """What it listens on for other services."""
        exposed = self.options.get("expose", ())
        return int(exposed[0]) if exposed else None

    @property
    def healthcheck(self) -> list[str]:
        """As a command; empty if it has none."""
        check = self.options.get("healthcheck")
        file = self.dockerfile
        if check is None:
            return [] if file is None else file.healthcheck
        if check.get("disable"):
            return []
        how, *words = check["test"]
        return ["sh", "-c", *words] if how == "CMD-SHELL" else words


@dataclass(frozen=True)
class Compose:
    """The whole file, with the variables of an ``.env`` put in. Raises ``Refused``."""

    document: Mapping[str, Any]

    @property
    def services(self) -> dict[str, Service]:
        return {name: Service(name, options) for name, options in self.document["services"].items()}


def compose(variables: Mapping[str, str]) -> Compose:
    return Compose(_filled(_parsed(DEPLOY / "compose.yaml"), variables))


def compose_variables() -> set[str]:
    """The names that the file asks for."""
    return {found[2] for found in _VARIABLE.finditer((DEPLOY / "compose.yaml").read_text()) if found[2]}


def env_file(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _equals, value in (line.partition("=") for line in lines)}


def _parsed(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def _filled(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _filled(value, variables) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, variables) for value in node]
    return _VARIABLE.sub(lambda found: _value(found, variables), node) if isinstance(node, str) else node


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    dollar, name, how, rest = found.groups()
    if dollar:
        return "$"
    value = variables.get(name, "")
    if not value and how == "?":
        raise Refused(f"{name}: {rest}")
    return value or (rest if how == "-" else "")
