"""Where webhooks may lead."""

from ipaddress import ip_address, ip_network

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.webhook_urls import BadWebhookUrl, Networks, check_address, check_submitted, is_public, parse_url

LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        *("10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"),
        *("192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "168.63.129.16"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1"),
        # Version 4 in the guise of version 6: mapped, compatible, NAT64, 6to4, Teredo.
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::"),
        *("2001::1", "2001:db8::1", "3fff::1"),
    ],
)
def test_what_only_we_can_reach_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::8a"])
def test_what_everyone_can_reach_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://hooks.example/", "https"),
        ("hooks.example/x", "https"),
        ("https:///x", "no host"),
        ("https://user:secret@hooks.example/", "User"),
        ("https://user@hooks.example/", "User"),
        ("https://hooks.example/#part", "fragment"),
        ("https://hooks.example\\@10.0.0.1/", "ASCII"),
        ("https://hooks.example/\r\nX: y", "ASCII"),
        ("https://hööks.example/", "ASCII"),
        ("https://hooks..example/", "no host name"),
        ("https://-hooks.example/", "no host name"),
        ("https://a%2eb/", "no host name"),
        ("https://[v1.x]/", "no"),
        ("https://[::1/", "no URL"),
        ("https://hooks.example:99999/", "no URL"),
        ("https://hooks.example/" + "x" * 2000, "2000"),
    ],
)
def test_what_is_no_webhooks_url(url: str, word: str) -> None:
    with pytest.raises(BadWebhookUrl, match=word):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1/", "https://localhost/", "https://x.localhost./", "https://10.0.0.1:8443/"),
        *("https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.0.0.1./"),
        *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest/meta-data"),
        *("http://hooks.example/", "http://8.8.8.8/", "https://hooks.example:25/", "https://hooks.example:22/"),
    ],
)
def test_what_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadWebhookUrl):
        check_submitted(parse_url(url), ())


@pytest.mark.parametrize(
    "url",
    ["https://hooks.example/a?b=c", "https://hooks.example:8443/", "https://8.8.8.8/", "https://xn--hks-0qa.example/"],
)
def test_what_may_be_submitted_anywhere(url: str) -> None:
    check_submitted(parse_url(url), ())


def test_an_allowed_network_may_be_called_without_tls_at_any_port() -> None:
    for url in ("http://127.0.0.1:80/", "http://localhost:99/", "https://127.9.9.9/", "http://a-name:81/"):
        check_submitted(parse_url(url), LOOPBACK)
    with pytest.raises(BadWebhookUrl, match="TURNOUT_WEBHOOK_ALLOW"):
        check_submitted(parse_url("http://10.0.0.1/"), LOOPBACK)


def test_a_name_is_held_to_each_of_its_addresses() -> None:
    named = parse_url("http://hooks.example:8000/")
    check_address(named, ip_address("127.0.0.1"), LOOPBACK)
    with pytest.raises(BadWebhookUrl, match="https"):
        check_address(named, ip_address("8.8.8.8"), LOOPBACK)
    with pytest.raises(BadWebhookUrl, match="no public address") as refused:
        check_address(named, ip_address("10.1.2.3"), LOOPBACK)
    assert "10.1.2.3" not in str(refused.value)


def test_the_parts_of_a_url() -> None:
    url = parse_url("https://Hooks.example/a/b?token=secret")
    assert (url.host, url.port, url.target) == ("hooks.example", 443, "/a/b?token=secret")
    assert (url.authority, url.host_header) == ("hooks.example:443", "hooks.example")
    assert url.without_query == "https://hooks.example/a/b?…"
    assert parse_url("https://[2606:4700::1]:8443").authority == "[2606:4700::1]:8443"
    assert parse_url("https://hooks.example").target == "/"


def test_networks_of_a_setting() -> None:
    networks = TypeAdapter(Networks).validate_python("127.0.0.0/8, fd00::/8 10.0.0.1")
    assert networks == (ip_network("127.0.0.0/8"), ip_network("fd00::/8"), ip_network("10.0.0.1/32"))
    for wrong in ("everything", "10.0.0.1/8"):
        with pytest.raises(ValidationError):
            TypeAdapter(Networks).validate_python(wrong)
