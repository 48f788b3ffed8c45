from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.unit.api.serving import HandWorker, Serving, make_serving


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


@pytest.fixture
def worker(serving: Serving) -> HandWorker:
    return serving.worker
