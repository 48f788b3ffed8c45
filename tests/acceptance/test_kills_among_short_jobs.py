"""Every process is killed while short jobs are submitted and run: none is lost, none is done twice over."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.stand import Stand, standing
from tests.acceptance.victims import VICTIMS, kill

# Which database there is makes no difference to these.
NO_DATABASE = ("keeper", "jvm", "flower")
_AFTERWARDS = 4


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    directory = tmp_path_factory.mktemp(request.param)
    with standing(directory, postgres=request.param == "postgres") as stand:
        yield stand


@contextmanager
def busy(stand: Stand, name: str) -> Iterator[None]:
    """Short jobs are submitted and run while the block kills something; afterwards further ones run, and of all of them
    none was lost or doubled."""
    with stand.streams(name) as streams:
        for stream in streams:
            stream.wait_for_one_in_hand()
        yield
        for stream in streams:
            stream.wait_for_more(_AFTERWARDS)
    for stream in streams:
        stream.assert_each_succeeded_once()
    stand.ledger.assert_kept_once()


def wait_until_back(stand: Stand, *names: str) -> None:
    for name in names:
        VICTIMS[name].wait_until_back(stand.program, stand.client)


def kill_one(stand: Stand, name: str) -> None:
    with busy(stand, name):
        kill(stand.program, name)
        wait_until_back(stand, name)


@pytest.mark.parametrize("name", [name for name in VICTIMS if name not in NO_DATABASE])
def test_one_part(stand: Stand, name: str) -> None:
    kill_one(stand, name)


@pytest.mark.parametrize("stand", ["postgres"], indirect=True)
@pytest.mark.parametrize("name", NO_DATABASE)
def test_one_part_that_uses_no_database(stand: Stand, name: str) -> None:
    kill_one(stand, name)


@pytest.mark.parametrize("stand", ["postgres"], indirect=True)
@pytest.mark.parametrize("names", [("worker-cpu", "redis"), ("api", "worker-h2o")], ids="-and-".join)
def test_two_at_once(stand: Stand, names: tuple[str, str]) -> None:
    with busy(stand, "-and-".join(names)):
        kill(stand.program, *names)
        wait_until_back(stand, *names)


@pytest.mark.parametrize("stand", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["runner-cpu", "worker-cpu", "redis", "api"])
def test_again_as_soon_as_it_is_back(stand: Stand, name: str) -> None:
    with busy(stand, f"{name}-again"):
        for _ in range(3):
            kill(stand.program, name)
        wait_until_back(stand, name)


@pytest.mark.parametrize("stand", ["postgres"], indirect=True)
def test_the_database_server(stand: Stand) -> None:
    with busy(stand, "database"):
        stand.kill_database()


@pytest.mark.parametrize("stand", ["postgres"], indirect=True)
def test_the_database_server_and_then_what_needs_it(stand: Stand) -> None:
    server = stand.server
    assert server is not None
    with busy(stand, "database-and-all"):
        server.kill()
        kill(stand.program, "worker-cpu", "worker-h2o", "redis", "api")
        server.start()
        wait_until_back(stand, "api", "worker-cpu", "worker-h2o")
