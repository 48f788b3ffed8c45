"""The keeper's command line, files and settings, without a JVM."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from workers import tether
from workers.h2o_keeper.jvm import JvmSettings, default_memory, h2o_arguments, java_arguments
from workers.h2o_keeper.layout import ClusterFile, Layout, write_private
from workers.runtimes.h2o_automl.connection import FixedCluster, KeptCluster, source_from


def test_the_jvm_listens_on_loopback_behind_a_login(tmp_path: Path) -> None:
    arguments = h2o_arguments(JvmSettings(54321, "1g", ()), Layout(tmp_path))
    given = dict(pairwise(arguments))
    assert (given["-ip"], given["-web_ip"], given["-port"]) == ("127.0.0.1", "127.0.0.1", "54321")
    assert {"-hash_login", "-disable_flow"} <= set(arguments)
    assert given["-file_deny_glob"] == "**"


def test_a_cluster_with_a_name_listens_everywhere_but_between_nodes(tmp_path: Path) -> None:
    given = dict(pairwise(h2o_arguments(JvmSettings(54321, "1g", (), "cluster"), Layout(tmp_path))))
    assert (given["-ip"], given["-web_ip"]) == ("127.0.0.1", "0.0.0.0")  # noqa: S104 - as containers want it
    assert "-hash_login" in given


def test_options_of_the_owner_reach_the_jvm(tmp_path: Path) -> None:
    arguments = java_arguments(JvmSettings(54321, "3g", ("-XX:TieredStopAtLevel=1",)), Layout(tmp_path))
    assert {"-Xmx3g", "-XX:+ExitOnOutOfMemoryError", "-XX:TieredStopAtLevel=1"} <= set(arguments)


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
    layout = Layout(tmp_path / "h2o")
    layout.prepare()
    (layout.temporary / "libxgboost4j.so").write_bytes(b"x")
    layout.prepare()
    assert list(layout.temporary.iterdir()) == []


def test_the_runtime_finds_what_the_keeper_announced(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    source = source_from({"cluster_file": str(layout.cluster_file)})
    assert source == KeptCluster(layout.cluster_file)
    assert source.locate() is None
    layout.announce(ClusterFile("http://127.0.0.1:1", "turnout", "pw", "17", 5, "3.46.0.11"))
    found = source.locate()
    assert found is not None
    assert (found.url, found.user, found.password, found.cluster_id) == ("http://127.0.0.1:1", "turnout", "pw", "17")
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
