"""The figures that an API process gathers by itself."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info, ProcessCollector

from api.attempt_count import AttemptCount
from api.http_figures import HttpFigures


class Figures:
    """A registry of its own: the library's default one belongs to the whole process, which tests share."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Info("turnout", "The version of this API.", registry=self.registry).info({"version": version("turnout")})
        ProcessCollector(registry=self.registry)
        self.http = HttpFigures(self.registry)
        self.attempts = AttemptCount(self.registry)
