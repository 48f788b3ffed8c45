"""Which way requests take."""

from types import SimpleNamespace

import pytest

from tests.unit.turnout.conftest import Server
from turnout import AsyncClient, Client, NotAllowed, ServerUnreachable, Unusable
from turnout.steps import Answer
from turnout.transport import patient, retry_after_seconds

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
    # The test's server takes the proxy's place, and answers that it knows no such key.
    with Client("http://turnout.invalid", "key") as client, pytest.raises(NotAllowed):
        client.kinds()


def test_what_is_no_text_makes_no_address(server: Server) -> None:
    """Half a character, as Python makes of names in the file system that are not UTF-8."""
    half = "\udcff"
    with Client(server.url, server.serving.keys.ann) as client:
        for ask in (client.job, client.cancel, client.retry, client.file, client.kind):
            with pytest.raises(Unusable, match="udcff"):
                ask(half)
        with pytest.raises(Unusable, match="udcff"):
            list(client.jobs(kind=half))


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "gopher://proxy"),
        ("ALL_PROXY", "http://[::1"),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/no/such/file"),
        ("SSL_CERT_FILE", __file__),
    ],
)
def test_a_way_that_cannot_be_set_up(monkeypatch: pytest.MonkeyPatch, client: type, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Unusable, match=name):
        client("https://turnout.invalid", "key")


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [("", 0, 0), ("7", 7, 7), ("soon", 0, 0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
     ("Fri, 01 Jan 2999 00:00:00 GMT", 1e9, 1e12), ("-3", 0, 0)],
)  # fmt: skip
def test_what_a_server_asks_to_wait(said: str, low: float, high: float) -> None:
    assert low <= retry_after_seconds(Answer(503, {"retry-after": said})) <= high


def test_patience_grows_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("turnout.transport.time", SimpleNamespace(monotonic=lambda: now))
    patience = patient(10)
    pauses = []
    while (pause := patience.pause()) is not None:
        pauses.append(pause)
        now += pause
    assert all(0.5 * 0.1 * 2**i <= pause <= 0.1 * 2**i for i, pause in enumerate(pauses[:5]))
    assert max(pauses) <= 2
    assert 1008 < now <= 1010
    patience.renew()
    assert patience.pause(9) is not None
    assert patience.pause(9) is not None, "no time has passed"
    assert patience.pause(11) is None
