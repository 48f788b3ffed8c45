"""Signatures, pauses, and what an answer means."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from db.webhooks import Delivery
from workers.webhook_signing import signature, signed_headers
from workers.webhooks import TRIES, outcome_of, pause_after

# The example of the specification's own libraries (standardwebhooks.com), and one that OpenSSL made:
# printf '%s' 'job_7.1700000000.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f -binary | base64
KNOWN = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "job_7",
        1700000000,
        b'{"a":1}',
        "v1,dnWhWDSsYDsSxG9z8ILTHCnn90yQ++OUXWpTOftlHwA=",
    ),
]


@pytest.mark.parametrize(("secret", "message_id", "timestamp", "body", "expected"), KNOWN)
def test_signatures_are_those_of_others(
    secret: str, message_id: str, timestamp: int, body: bytes, expected: str
) -> None:
    assert signature(secret, message_id, timestamp, body) == expected


def test_each_secret_signs() -> None:
    secrets = [known[0] for known in KNOWN]
    headers = signed_headers(secrets, "job_7", datetime.fromtimestamp(1700000000, UTC), b'{"a":1}')
    assert headers["webhook-id"] == "job_7"
    assert headers["webhook-timestamp"] == "1700000000"
    first, second = headers["webhook-signature"].split(" ")
    assert first == signature(secrets[0], "job_7", 1700000000, b'{"a":1}')
    assert second == KNOWN[1][-1]


def test_pauses_grow_and_make_a_day() -> None:
    pauses = [pause_after(failures) for failures in range(1, TRIES)]
    assert all(pause is not None for pause in pauses)
    seconds = [pause.total_seconds() for pause in pauses if pause is not None]
    assert 4 <= seconds[0] <= 6
    assert all(later > 2 * earlier for earlier, later in pairwise(seconds))
    assert timedelta(hours=17) < timedelta(seconds=sum(seconds)) < timedelta(hours=27)
    assert pause_after(TRIES) is None


def test_pauses_differ() -> None:
    assert len({pause_after(3) for _ in range(10)}) > 1


def delivery(tries: int = 0) -> Delivery:
    return Delivery("job", "lease", 2, True, tries, "https://x/", "x:443", (), datetime.now(UTC), {})


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_an_answer_of_the_two_hundreds_is_success(status: int) -> None:
    outcome = outcome_of(delivery(), status)
    assert (outcome.status, outcome.problem, outcome.gone, outcome.pause) == (status, None, False, None)


def test_gone_ends_it() -> None:
    assert outcome_of(delivery(), 410).gone


@pytest.mark.parametrize("status", [301, 307, 400, 404, 429, 500, 503, 100])
def test_everything_else_is_tried_again_until_the_last_try(status: int) -> None:
    outcome = outcome_of(delivery(), status)
    assert outcome.pause is not None
    assert str(status) in str(outcome.problem)
    assert ("redirect" in str(outcome.problem)) == (300 <= status < 400)
    assert outcome_of(delivery(TRIES - 2), status).pause is not None
    assert outcome_of(delivery(TRIES - 1), status).pause is None
