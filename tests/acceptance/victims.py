"""The parts of a running program that tests kill: how each is found, and when it is back."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx
import psutil

from tests.acceptance.program import Program, wait_until_gone, whole_tree
from tests.processes import lives
from tests.waiting import until
from turnout import Client

_BACK_SECONDS = 120


@dataclass(frozen=True)
class Victim:
    """``finds`` its process; ``serves`` says whether that process does its work."""

    finds: Callable[[Program], psutil.Process | None]
    serves: Callable[[Program, Client, psutil.Process], bool]

    def kill(self, program: Program) -> None:
        """SIGKILL; returns when neither it nor any process below it lives."""
        _kill(self.find(program))

    def find(self, program: Program) -> psutil.Process:
        return until(lambda: self.finds(program), _BACK_SECONDS, what="the part")

    def wait_until_back(self, program: Program, client: Client) -> None:
        def is_back() -> bool:
            process = self.finds(program)
            return process is not None and self.serves(program, client, process)

        until(is_back, _BACK_SECONDS, what="the part's return")


def kill(program: Program, *names: str) -> None:
    """The same for several parts at once."""
    _kill(*[VICTIMS[name].find(program) for name in names])


def _kill(*processes: psutil.Process) -> None:
    trees = [process for part in processes for process in whole_tree(part)]
    for process in processes:
        process.kill()
    wait_until_gone(trees)


def _below(fits: Callable[[psutil.Process], bool]) -> Callable[[Program], psutil.Process | None]:
    def find(program: Program) -> psutil.Process | None:
        for process in program.process.children(recursive=True):
            # One may end while it is looked at, and the dead are looked for by nobody.
            with suppress(psutil.NoSuchProcess):
                if lives(process) and fits(process):
                    return process
        return None

    return find


def _one(*words: str) -> Callable[[Program], psutil.Process | None]:
    return _below(lambda process: set(words) <= set(process.cmdline()))


def _named(name: str) -> Callable[[Program], psutil.Process | None]:
    return _below(lambda process: name in process.name())


def kill_runners(program: Program, queue: str) -> None:
    """All of a queue's: which of several has the job can't be seen from outside."""
    found = []
    for process in program.process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if lives(process) and _is_runner(process, queue):
                found.append(process)
    _kill(*found)


def _is_runner(process: psutil.Process, queue: str) -> bool:
    worker = process.parent()
    return "workers.runner" in process.cmdline() and worker is not None and queue in worker.cmdline()


def _runner_of(queue: str) -> Callable[[Program], psutil.Process | None]:
    return _below(lambda process: _is_runner(process, queue))


def _is_listed(_program: Program, client: Client, process: psutil.Process) -> bool:
    return process.pid in {worker.pid for worker in client.workers()}


def _answers(program: Program, _client: Client, _process: psutil.Process) -> bool:
    return program.answers()


def _is_healthy(program: Program, _client: Client, _process: psutil.Process) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{program.flower_port}/healthcheck", trust_env=False)
    except httpx.TransportError:
        return False
    return bool(answer.is_success)


def _is_announced(program: Program, _client: Client, _process: psutil.Process) -> bool:
    """The keeper writes the file when its cluster is healthy; a killed keeper leaves the last one's behind."""
    java = _named("java")(program)
    try:
        cluster = json.loads((program.home / "h2o" / "cluster.json").read_text())
    except FileNotFoundError:
        return False
    return java is not None and bool(cluster["pids"] == [java.pid])


def _runs(_program: Program, _client: Client, process: psutil.Process) -> bool:
    """Whether it does its work is told by the jobs."""
    return lives(process)


VICTIMS = {
    "runner-cpu": Victim(_runner_of("cpu"), _runs),
    "runner-h2o": Victim(_runner_of("h2o"), _runs),
    "worker-cpu": Victim(_one("workers", "cpu"), _is_listed),
    "worker-h2o": Victim(_one("workers", "h2o"), _is_listed),
    "redis": Victim(_named("valkey"), _runs),
    "api": Victim(_one("api"), _answers),
    "keeper": Victim(_one("workers.h2o_keeper"), _is_announced),
    "jvm": Victim(_named("java"), _is_announced),
    "flower": Victim(_one("workers.flower"), _is_healthy),
}
