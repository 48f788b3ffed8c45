"""The lease protocol under every order of steps that Hypothesis comes up with."""

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from db.engine import Database
from tests.integration.lease_protocol.machine import LeaseProtocol

# The same examples at each run; a number here looks for so many other ones.
_EXAMPLES = os.environ.get("TURNOUT_TEST_EXAMPLES")


def test_whatever_happens_in_whatever_order_the_promises_hold(database: Database) -> None:
    run_state_machine_as_test(
        lambda: LeaseProtocol(database),
        settings=settings(
            max_examples=int(_EXAMPLES or 40),
            stateful_step_count=25,
            derandomize=_EXAMPLES is None,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
