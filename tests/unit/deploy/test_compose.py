"""What ``deploy/`` starts is what the product has and needs; nobody can start it here, so its files are compared."""

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from db.settings import DatabaseSettings
from tasks.queues import Queue
from tasks.settings import BrokerSettings
from tests.compose import DEPLOY, ROOT, Compose, Refused, Service, compose, compose_variables, env_file
from turnout.stack.parts import Parts
from turnout.stack.secrets import StackSecrets
from turnout.stack.settings import StackSettings
from workers.placement import source_settings
from workers.settings import WorkerSettings
from workers.webhook_settings import WebhookSettings

_PASSWORDS = {name: f"the-{name}" for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "FLOWER_PASSWORD")}
_KEEPER = {
    "TURNOUT_HOME",
    "TURNOUT_H2O_MEMORY",
    "TURNOUT_H2O_JVM_OPTIONS",
    "TURNOUT_H2O_NODES",
    "TURNOUT_H2O_RECYCLE_AFTER",
}
_ROOMS: Mapping[str, tuple[type[BaseSettings], ...]] = {
    "api": (ApiSettings, DatabaseSettings, BrokerSettings),
    "api.setup": (DatabaseSettings,),
    "workers": (WorkerSettings, WebhookSettings, DatabaseSettings, BrokerSettings),
    "workers.flower": (DatabaseSettings, BrokerSettings),
}
_HOME = "/var/lib/turnout"
_SHORTEST_STOP_SECONDS = 22.0


@pytest.fixture(scope="module")
def deployed() -> Compose:
    return compose(_PASSWORDS)


@pytest.fixture(scope="module")
def services(deployed: Compose) -> dict[str, Service]:
    return deployed.services


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(StackSettings(), tmp_path, StackSecrets("redis-password", "flower-password"))


def built(services: dict[str, Service]) -> list[Service]:
    return [service for service in services.values() if service.dockerfile is not None]


def workers(services: dict[str, Service]) -> list[Service]:
    return [service for service in services.values() if service.module == "workers"]


def gpu_workers(services: dict[str, Service]) -> list[Service]:
    return [worker for worker in workers(services) if worker.name.startswith("worker-gpu")]


def test_every_queue_has_its_worker(services: dict[str, Service]) -> None:
    served = {worker.name: worker.command[list(worker.command).index("--queue") + 1] for worker in workers(services)}
    further = {worker.name: Queue.GPU.value for worker in gpu_workers(services)}
    assert served == {f"worker-{queue}": queue.value for queue in Queue} | further


def test_only_gpu_workers_need_to_be_asked_for(services: dict[str, Service]) -> None:
    asked = {name: service.options["profiles"] for name, service in services.items() if "profiles" in service.options}
    # As many as a server has GPUs, each by a profile of its own.
    assert asked == {"worker-gpu": ["gpu"]} | {f"worker-gpu-{number}": [f"gpu-{number}"] for number in range(1, 8)}


def test_each_gpu_has_one_worker(services: dict[str, Service]) -> None:
    first, *others = gpu_workers(services)
    for number, worker in enumerate((first, *others)):
        (device,) = worker.options["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "capabilities": ["gpu"], "device_ids": [str(number)]}
        # Its container sees one, whose number there is 0.
        assert "--device" not in worker.command
    for worker in others:
        own = {"profiles", "deploy"}
        assert {k: v for k, v in worker.options.items() if k not in own} == {
            k: v for k, v in first.options.items() if k not in own
        }
        assert worker.options["deploy"]["resources"]["limits"] == first.options["deploy"]["resources"]["limits"]


def test_who_infers_has_models_and_shares_what_was_downloaded(services: dict[str, Service]) -> None:
    inferring = [services["worker-cpu"], *gpu_workers(services)]
    for worker in workers(services):
        mounts = {mount.target: (mount.volume, mount.read_only) for mount in worker.mounts}
        told = {"TURNOUT_MODELS", "TURNOUT_OFFLINE", "TURNOUT_HUB_TOKEN"} & set(worker.environment)
        if worker not in inferring:
            assert not told
            continue
        assert len(told) == 3
        assert mounts[worker.environment["TURNOUT_MODELS"]] == ("models", True)
        settings = WorkerSettings(home=Path(_HOME))
        cache = str(source_settings(settings)["model_cache"])
        assert mounts[cache] == ("model-cache", False)
        file = worker.dockerfile
        assert file is not None
        # A new volume is its user's, not root's.
        assert f"{cache} " in f"{dict(file.last_stage)['RUN']} "


def test_models_may_be_a_directory_of_the_host() -> None:
    (mount,) = [
        mount
        for mount in compose({**_PASSWORDS, "TURNOUT_MODELS": "/srv/models"}).services["worker-gpu"].mounts
        if mount.volume == "/srv/models"
    ]
    assert (mount.target, mount.read_only) == (f"{_HOME}/models", True)


def test_offline_no_runner_reaches_the_hub() -> None:
    for offline in ("false", "true"):
        document = compose({**_PASSWORDS, "TURNOUT_OFFLINE": offline})
        assert document.document["networks"]["hub"] == {"internal": offline}
        for worker in ("worker-cpu", "worker-gpu"):
            assert document.services[worker].environment["TURNOUT_OFFLINE"] == offline


def test_torch_is_installed_before_what_is_locked(services: dict[str, Service]) -> None:
    for service in (services["worker-cpu"], services["worker-gpu"]):
        text = _text(service)
        # Its own requirements are unpinned; the lock file has the last word.
        assert 0 < text.index("--requirement torch.txt") < text.index(f"--requirement {service.name}.lock")
    assert "TORCH_INDEX" not in _text(services["worker-gpu"])
    assert '--extra-index-url "${TORCH_INDEX}" --requirement torch.txt' in _text(services["worker-cpu"])


def test_nothing_that_turnout_up_starts_is_missing(services: dict[str, Service], parts: Parts) -> None:
    children = (parts.api(), parts.keeper(), parts.worker("h2o"), parts.worker("cpu"), parts.flower())
    assert {child.command[3] for child in children} <= {service.module for service in services.values()}
    for name, child in {"api": parts.api(), "flower": parts.flower(), "worker-cpu": parts.worker("cpu")}.items():
        told = {variable for variable in child.environment if variable.startswith(("TURNOUT_", "FLOWER_"))}
        # Only a worker heeds the grace, only the API its port; and a server that is elsewhere needs its database's URL.
        needed = (told - {"TURNOUT_GRACE", "TURNOUT_API_PORT"}) | {"TURNOUT_DATABASE_URL"}
        assert needed <= set(services[name].environment), name


def test_flower_is_told_what_turnout_up_tells_it(services: dict[str, Service], parts: Parts) -> None:
    def options(words: list[str]) -> dict[str, str]:
        given = {name: value for name, _equals, value in (word.partition("=") for word in words)}
        return given | dict.fromkeys(("--address", "--port", "--db"), "its own")

    assert options(list(services["flower"].command[4:])) == options(list(parts.flower().command[4:]))


def test_each_dockerfile_is_used(services: dict[str, Service]) -> None:
    used = {service.options["build"]["dockerfile"] for service in built(services)}
    assert used == {f"deploy/{path.name}" for path in DEPLOY.glob("*Dockerfile")}


def test_images_hold_what_they_run(services: dict[str, Service]) -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for service in built(services):
        file = service.dockerfile
        assert file is not None
        assert service.module is not None
        assert importlib.util.find_spec(service.module) is not None, service.module
        assert service.module.partition(".")[0] in file.sources
        for source in file.sources:
            assert (ROOT / source).exists(), f"{service.name} copies {source}"
            assert any(Path(source).match(pattern) for pattern in let_in), f".dockerignore keeps {source} out"


def test_images_are_no_more_than_they_must_be(services: dict[str, Service]) -> None:
    for service in built(services):
        file = service.dockerfile
        assert file is not None
        assert all(re.fullmatch(r"python:\$\{PYTHON\}", base) for base in file.bases), file.bases
        assert re.search(r"^ARG PYTHON=3\.\d+-slim-\w+$", _text(service), re.MULTILINE)
        assert file.one("USER") == "10001:10001"
        assert file.words("ENTRYPOINT")[:3] == ["python", "-P", "-m"]
        assert file.healthcheck
        assert "--require-hashes" in _text(service)
        assert not re.search("PASSWORD|SECRET|API_KEY", _text(service))


def test_variables_are_settings(services: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in built(services):
        rooms = _ROOMS.get(str(service.module))
        known = (
            _KEEPER if rooms is None else {f"TURNOUT_{field.upper()}" for room in rooms for field in room.model_fields}
        )
        told = {name: value for name, value in service.environment.items() if name.startswith("TURNOUT_")}
        assert set(told) <= known, service.name
        if rooms is not None:
            _only(monkeypatch, told)
            for room in rooms:
                room()


def test_everyone_uses_the_servers_of_the_file(services: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in built(services):
        if str(service.module) not in _ROOMS:
            continue
        _only(monkeypatch, service.environment)
        database = DatabaseSettings().url
        postgres = services["postgres"]
        assert (database.drivername, database.host, database.port) == ("postgresql+psycopg", "postgres", postgres.port)
        assert database.username == postgres.environment["POSTGRES_USER"]
        assert database.password == postgres.environment["POSTGRES_PASSWORD"]
        assert database.database == postgres.environment["POSTGRES_DB"]
        if BrokerSettings not in _ROOMS[str(service.module)]:
            continue
        broker = BrokerSettings().broker_url.get_secret_value()
        password = services["valkey"].environment["VALKEY_PASSWORD"]
        assert broker == f"redis://:{password}@valkey:{services['valkey'].port}/0"


def test_ports_agree(services: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in services.values():
        for number in re.findall(r"(?:--?p(?:ort)?[= ]|:)(\d{4,5})\b", " ".join(service.healthcheck)):
            assert int(number) == service.port, service.name
        file = service.dockerfile
        if file is not None and service.port is not None:
            assert file.one("EXPOSE") == str(service.port)
    _only(monkeypatch, services["api"].environment)
    settings = ApiSettings()
    assert (settings.api_host, settings.api_port) == ("0.0.0.0", services["api"].port)  # noqa: S104 - in its container
    assert settings.flower_url == f"http://flower:{services['flower'].port}"
    assert f"--port={services['flower'].port}" in services["flower"].command
    keeper = services["h2o-cluster"]
    assert list(keeper.command[4:]) == ["--home", _HOME, "--port", str(keeper.port), "--host", keeper.name]


def test_only_api_and_flower_are_published_and_on_loopback(services: dict[str, Service]) -> None:
    published = {name: service.options["ports"] for name, service in services.items() if "ports" in service.options}
    assert set(published) == {"api", "flower"}
    for name, ports in published.items():
        (port,) = ports
        assert port.startswith("127.0.0.1:")
        assert port.endswith(f":{services[name].port}")


def test_nobody_but_its_workers_reaches_h2o(deployed: Compose) -> None:
    services = deployed.services
    networks = deployed.document["networks"]
    for network in ("database", "broker", "h2o"):
        assert networks[network] == {"internal": True}
    members = {network: {n for n, s in services.items() if network in s.options["networks"]} for network in networks}
    assert members["h2o"] == {"h2o-cluster", "worker-h2o"}
    assert services["h2o-cluster"].options["networks"] == ["h2o"]
    assert members["outside"] == {"worker-remote"}
    assert members["hub"] == {"worker-cpu", *(worker.name for worker in gpu_workers(services))}
    assert "postgres" in members["database"]
    assert "valkey" in members["broker"]


def test_files_are_shared_where_they_must_be(services: dict[str, Service]) -> None:
    for service in (services["api"], *workers(services)):
        mounts = {mount.target: mount.volume for mount in service.mounts}
        assert mounts[f"{_HOME}/store"] == "store"
        if service.module == "workers":
            # A home of its own: two containers must not empty each other's scratch directories.
            assert mounts[_HOME] is None
            # Names are taken by locks, which all of them see.
            assert mounts[f"{_HOME}/run"] == "workers"
    (seen,) = [mount for mount in services["worker-h2o"].mounts if mount.target == f"{_HOME}/h2o"]
    (written,) = services["h2o-cluster"].mounts
    assert (seen.volume, seen.read_only) == (written.volume, True)
    assert written.target == seen.target


def test_every_volume_is_used_and_declared(deployed: Compose) -> None:
    used = {mount.volume for service in deployed.services.values() for mount in service.mounts if mount.volume}
    assert used == set(deployed.document["volumes"])


def test_containers_may_do_little(services: dict[str, Service]) -> None:
    for service in services.values():
        assert service.options["security_opt"] == ["no-new-privileges:true"]
        assert service.options["deploy"]["resources"]["limits"].keys() >= {"memory", "pids"}
        assert service.options["restart"] == ("no" if service.name == "setup" else "unless-stopped")
        if service.dockerfile is not None or service.name == "valkey":
            assert service.options["read_only"] is True
            assert service.options["cap_drop"] == ["ALL"]
            assert service.options["init"] is True
        assert service.healthcheck or service.name == "setup"
        # Compose numbers the containers of a service that is scaled.
        assert "container_name" not in service.options
        assert "hostname" not in service.options


def test_a_worker_has_time_to_hand_its_jobs_back(services: dict[str, Service]) -> None:
    for worker in workers(services):
        assert float(worker.options["stop_grace_period"].removesuffix("s")) > _SHORTEST_STOP_SECONDS


@pytest.mark.parametrize("missing", _PASSWORDS)
def test_an_empty_password_is_refused(missing: str) -> None:
    with pytest.raises(Refused, match=f"{missing}: run deploy/make_env.py"):
        compose({**_PASSWORDS, missing: ""})


def test_passwords_reach_only_those_who_use_them(services: dict[str, Service]) -> None:
    for service in services.values():
        assert not any(value in word for value in _PASSWORDS.values() for word in service.command), service.name
    having = {
        name: {n for n, s in services.items() if any(value in text for text in s.environment.values())}
        for name, value in _PASSWORDS.items()
    }
    servers = {service.name for service in built(services)} - {"h2o-cluster"}
    assert having == {
        "POSTGRES_PASSWORD": servers | {"postgres"},
        "VALKEY_PASSWORD": (servers - {"setup"}) | {"valkey"},
        "FLOWER_PASSWORD": {"flower"},
    }


def test_the_example_names_every_variable() -> None:
    example = (DEPLOY / ".env.example").read_text()
    assert compose_variables() == set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))
    assert env_file(DEPLOY / ".env.example") == dict.fromkeys(_PASSWORDS, "")


def test_the_example_says_the_defaults() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    example = (DEPLOY / ".env.example").read_text()
    for name, value in re.findall(r"^#(\w+)=(.*)$", example, re.MULTILINE):
        # How much of the container's memory the heap takes, and when it leaked too much, are the keeper's choice.
        if name not in ("TURNOUT_H2O_MEMORY", "TURNOUT_H2O_RECYCLE_AFTER"):
            assert f"${{{name}:-{value}}}" in text


def _text(service: Service) -> str:
    return (DEPLOY / service.options["build"]["context"] / service.options["build"]["dockerfile"]).read_text()


def _only(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("TURNOUT_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("TURNOUT_"):
            monkeypatch.setenv(name, value)
