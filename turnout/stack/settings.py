"""What can be chosen about a stack."""

import os
from dataclasses import dataclass, field
from pathlib import Path


def _port(variable: str, default: int) -> int:
    return int(os.environ.get(variable, default))


@dataclass(frozen=True)
class StackSettings:
    """Read from ``TURNOUT_…`` variables, each of which an argument overrides. A server whose URL is given
    (broker, H2O) is not started here."""

    home: Path = field(default_factory=lambda: Path(os.environ.get("TURNOUT_HOME", ".turnout")))
    api_port: int = field(default_factory=lambda: _port("TURNOUT_API_PORT", 8400))
    redis_port: int = field(default_factory=lambda: _port("TURNOUT_REDIS_PORT", 8401))
    h2o_port: int = field(default_factory=lambda: _port("TURNOUT_H2O_PORT", 8402))
    flower_port: int = field(default_factory=lambda: _port("TURNOUT_FLOWER_PORT", 5555))
    h2o_slots: int = field(default_factory=lambda: int(os.environ.get("TURNOUT_H2O_SLOTS", 1)))
    broker_url: str | None = field(default_factory=lambda: os.environ.get("TURNOUT_BROKER_URL"))
    h2o_url: str | None = field(default_factory=lambda: os.environ.get("TURNOUT_H2O_URL"))

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
            wanted["H2O"] = (how, self.h2o_port)
            wanted["H2O's second port"] = (how, self.h2o_port + 1)
        return wanted
