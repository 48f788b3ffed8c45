import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi.testclient import TestClient

from tests.unit.api.serving import HandWorker, Serving, make_serving


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> Iterator[None]:
    """Log lines are no part of these tests, and the default ones show every local variable of a failure."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = make_serving(tmp_path)
    yield made
    made.services.database.dispose()


@pytest.fixture
def client(serving: Serving) -> Iterator[TestClient]:
    """Speaks with ann's key."""
    headers = {"Authorization": f"Bearer {serving.keys.ann}"}
    with TestClient(serving.make_app(), headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Like ``client``, for tests that leave nothing behind and mind nothing that is there."""
    made = make_serving(tmp_path_factory.mktemp("shared"))
    headers = {"Authorization": f"Bearer {made.keys.ann}"}
    with TestClient(made.make_app(), headers=headers, raise_server_exceptions=False) as client:
        yield client
    made.services.database.dispose()


@pytest.fixture
def worker(serving: Serving) -> HandWorker:
    return serving.worker
