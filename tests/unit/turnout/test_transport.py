"""Which way requests take."""

import pytest

from tests.unit.turnout.conftest import Server
from turnout import Client, NotFound, ServerUnreachable

NOBODY = "http://127.0.0.1:1"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_leads_to_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.setenv("ALL_PROXY", NOBODY)
    with Client(f"http://{host}:{server.port}", server.serving.keys.ann) as client:
        assert client.kinds()


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "turnout.localhost"])
def test_nor_to_its_other_names(server: Server, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    # Nothing listens there, and the proxy, which would answer, is not asked.
    with Client(f"http://{host}:1", "key") as client, pytest.raises(ServerUnreachable):
        client.kinds()


def test_the_users_proxy_leads_elsewhere(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    # The test's server takes the proxy's place, and answers that it knows no such address.
    with Client("http://turnout.invalid", "key") as client, pytest.raises(NotFound):
        client.kinds()
