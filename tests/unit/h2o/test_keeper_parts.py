"""The keeper's command line, files and settings, without a JVM."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from workers import tether
from workers.h2o_keeper.jvm import JvmSettings, KeeperError, default_memory, h2o_arguments, java_arguments
from workers.h2o_keeper.layout import ClusterFile, Layout, write_private
from workers.runtimes.h2o_automl.connection import ClusterAddress, FixedCluster, KeptCluster, source_from

ROOT = Path(__file__).parents[3]


def test_the_jvm_listens_on_loopback_behind_a_login(tmp_path: Path) -> None:
    arguments = h2o_arguments(JvmSettings(54321, 1024, ()), Layout(tmp_path), 1)
    given = dict(pairwise(arguments))
    assert (given["-ip"], given["-web_ip"], given["-port"]) == ("127.0.0.1", "127.0.0.1", "54321")
    assert {"-hash_login", "-disable_flow"} <= set(arguments)
    assert given["-file_deny_glob"] == "**"


def test_a_cluster_with_a_name_listens_everywhere_but_between_nodes(tmp_path: Path) -> None:
    settings = JvmSettings(54321, 1024, (), "cluster", nodes=2)
    given = dict(pairwise(h2o_arguments(settings, Layout(tmp_path), 1)))
    assert (given["-ip"], given["-web_ip"]) == ("127.0.0.1", "0.0.0.0")  # noqa: S104 - as containers want it
    assert "-hash_login" in given
    assert dict(pairwise(h2o_arguments(settings, Layout(tmp_path), 2)))["-web_ip"] == "127.0.0.1"


def test_nodes_share_heap_and_cores_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(5)))
    settings, layout = JvmSettings(54321, 3000, (), nodes=2), Layout(tmp_path)
    told = [dict(pairwise(h2o_arguments(settings, layout, number))) for number in (1, 2)]
    for same in ("-name", "-ip", "-flatfile", "-login_conf"):
        assert told[0][same] == told[1][same]
    for own in ("-port", "-ice_root", "-log_dir"):
        assert told[0][own] != told[1][own]
    assert [node["-port"] for node in told] == ["54321", "54323"]
    assert settings.ports == [54321, 54322, 54323, 54324]
    java = [java_arguments(settings, layout.node(number)) for number in (1, 2)]
    assert {"-Xmx1500m", "-XX:ActiveProcessorCount=3"} <= set(java[0])
    assert set(java[0]) ^ set(java[1]) == {f"-Djava.io.tmpdir={layout.node(n).temporary}" for n in (1, 2)}


@pytest.mark.parametrize(
    ("port", "heap_mb", "nodes", "words"),
    [(65_533, 4096, 2, "choose a lower --port"), (54_321, 200, 2, "raise --memory .* or lower --nodes")],
)
def test_nodes_without_ports_or_memory_are_refused(port: int, heap_mb: int, nodes: int, words: str) -> None:
    with pytest.raises(KeeperError, match=words):
        JvmSettings(port, heap_mb, (), nodes=nodes)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TURNOUT_H2O_NODES", "0", "is not a number of nodes between 1 and 64"),
        ("TURNOUT_H2O_RECYCLE_AFTER", "often", "is not a number of objects"),
        ("TURNOUT_H2O_MEMORY", "much", "is not a size such as 2g or 512m"),
    ],
)
def test_settings_that_can_not_be_meant_are_said(tmp_path: Path, variable: str, value: str, words: str) -> None:
    empty = {"TURNOUT_H2O_NODES": "", "TURNOUT_H2O_RECYCLE_AFTER": "", "TURNOUT_H2O_MEMORY": ""}
    command = [sys.executable, "-P", "-m", "workers.h2o_keeper", "--home", str(tmp_path), "--port", "1024"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **empty, variable: value}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert words in ended.stderr


def test_options_of_the_owner_reach_the_jvm(tmp_path: Path) -> None:
    settings = JvmSettings(54321, 3072, ("-XX:TieredStopAtLevel=1",))
    arguments = java_arguments(settings, Layout(tmp_path).node(1))
    assert {"-Xmx3072m", "-XX:+ExitOnOutOfMemoryError", "-XX:TieredStopAtLevel=1"} <= set(arguments)


def test_the_default_heap_leaves_room_for_others() -> None:
    megabytes = int(default_memory().removesuffix("m"))
    assert 1024 <= megabytes <= 16 * 1024


def test_private_files_are_private_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, "one")
    write_private(file, "two")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_what_dead_jvms_left_is_wiped(tmp_path: Path) -> None:
    for number in (1, 2):
        node = Layout(tmp_path / "h2o").node(number)
        node.prepare()
        (node.temporary / "libxgboost4j.so").write_bytes(b"x")
        node.prepare()
        assert list(node.temporary.iterdir()) == []


def test_the_runtime_finds_what_the_keeper_announced(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    source = source_from({"cluster_file": str(layout.cluster_file)})
    assert source == KeptCluster(layout.cluster_file)
    assert source.locate() is None
    layout.announce(ClusterFile("http://127.0.0.1:1", "turnout", "pw", "17", (5,), "3.46.0.11", 10 << 20))
    assert source.locate() == ClusterAddress("http://127.0.0.1:1", "turnout", "pw", "17", 10 << 20)
    layout.withdraw()
    assert source.locate() is None


def test_a_cluster_can_be_given_by_its_address() -> None:
    source = source_from({"url": "https://h2o.example/ctx/", "user": "u", "password": "p"})
    assert isinstance(source, FixedCluster)
    assert source.address.url == "https://h2o.example/ctx"


def test_half_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="either cluster_file or url, user and password"):
        source_from({"url": "https://h2o.example"})


class TestTether:
    command = (sys.executable, "-I", "-S", str(tether.__file__))

    def test_it_becomes_the_command(self) -> None:
        ended = subprocess.run(
            [*self.command, str(os.getpid()), "/bin/echo", "hello"], capture_output=True, text=True, check=True
        )
        assert ended.stdout == "hello\n"

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a process to its parent")
    def test_without_its_parent_it_starts_nothing(self) -> None:
        ended = subprocess.run([*self.command, "1", "/bin/echo", "hello"], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "not starting" in ended.stderr

    def test_a_missing_command_is_said(self) -> None:
        ended = subprocess.run(
            [*self.command, str(os.getpid()), "/no/such/program"], capture_output=True, text=True, check=False
        )
        assert ended.stderr.strip() == "/no/such/program can't be started: No such file or directory."
