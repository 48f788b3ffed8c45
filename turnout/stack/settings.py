"""What can be chosen about a stack."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from turnout.stack.durations import seconds_of
from turnout.stack.errors import StackError

_HIGHEST_PORT = 65535
_MOST_H2O_NODES = 64


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    try:
        return int(text)
    except ValueError:
        raise StackError(
            f"{variable} is {text!r}, which is no whole number; set it to one such as {default}."
        ) from None


def _grace_seconds() -> float:
    try:
        return seconds_of(os.environ.get("TURNOUT_GRACE") or "5")
    except ValueError as exc:
        raise StackError(f"TURNOUT_GRACE: {exc}.") from None


@dataclass(frozen=True)
class StackSettings:
    """Read from ``TURNOUT_…`` variables, each of which an argument overrides; an empty one counts as not set. A server
    whose URL is given (broker, H2O) is not started here. Raises ``StackError`` for what can't be meant."""

    home: Path = field(default_factory=lambda: Path(os.environ.get("TURNOUT_HOME") or ".turnout"))
    api_port: int = field(default_factory=lambda: _number("TURNOUT_API_PORT", 8400))
    redis_port: int = field(default_factory=lambda: _number("TURNOUT_REDIS_PORT", 8401))
    h2o_port: int = field(default_factory=lambda: _number("TURNOUT_H2O_PORT", 8402))
    flower_port: int = field(default_factory=lambda: _number("TURNOUT_FLOWER_PORT", 5555))
    h2o_nodes: int = field(default_factory=lambda: _number("TURNOUT_H2O_NODES", 1))
    h2o_slots: int = field(default_factory=lambda: _number("TURNOUT_H2O_SLOTS", 1))
    broker_url: str | None = field(default_factory=lambda: os.environ.get("TURNOUT_BROKER_URL") or None)
    h2o_url: str | None = field(default_factory=lambda: os.environ.get("TURNOUT_H2O_URL") or None)
    grace_seconds: float = field(default_factory=_grace_seconds)

    def __post_init__(self) -> None:
        for part, (how, port) in self.ports().items():
            if not 1 <= port <= _HIGHEST_PORT:
                raise StackError(f"{port} is no port for {part}: choose one from 1 to {_HIGHEST_PORT} with {how}.")
        if not 1 <= self.h2o_nodes <= _MOST_H2O_NODES:
            raise StackError(
                f"{self.h2o_nodes} is no number of H2O nodes: give --h2o-nodes or TURNOUT_H2O_NODES 1 to "
                f"{_MOST_H2O_NODES}."
            )
        if self.h2o_slots < 1:
            raise StackError(
                f"{self.h2o_slots} H2O slots can run nothing: give --h2o-slots or TURNOUT_H2O_SLOTS 1 or more."
            )

    def ports(self) -> dict[str, tuple[str, int]]:
        """The ports that this stack listens on: what for → (how to change it, number)."""
        wanted = {
            "the API": ("--api-port or TURNOUT_API_PORT", self.api_port),
            "Flower": ("--flower-port or TURNOUT_FLOWER_PORT", self.flower_port),
        }
        if self.broker_url is None:
            wanted["Redis"] = ("--redis-port or TURNOUT_REDIS_PORT", self.redis_port)
        if self.h2o_url is None:
            how = "--h2o-port or TURNOUT_H2O_PORT"
            for node in range(self.h2o_nodes):
                name = "H2O" if node == 0 else f"H2O node {node + 1}"
                wanted[name] = (how, self.h2o_port + 2 * node)
                wanted[f"{name}'s second port"] = (how, self.h2o_port + 2 * node + 1)
        return wanted
