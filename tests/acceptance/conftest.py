from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.circle import write_circle
from tests.acceptance.program import Program, wait_until_gone, whole_tree
from turnout import Client
from turnout.records import File


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program for the stories that leave it running; its H2O takes two jobs at once."""
    program = Program(tmp_path_factory.mktemp("program"), TURNOUT_H2O_SLOTS="2")
    program.start()
    processes = whole_tree(program.process)
    yield program
    assert program.end() == 0
    wait_until_gone(processes)


@pytest.fixture
def client(program: Program) -> Iterator[Client]:
    with Client(program.url, (program.home / "api-key").read_text().strip()) as client:
        yield client


@pytest.fixture(scope="session")
def circle_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_circle(tmp_path_factory.mktemp("data") / "circle.csv")


@pytest.fixture
def circle(client: Client, circle_csv: Path) -> File:
    return client.upload(circle_csv)
