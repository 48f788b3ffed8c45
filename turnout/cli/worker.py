"""``turnout worker``: one worker of a Turnout that runs elsewhere, or beside the workers of this machine."""

import os
import sys

import click

from turnout.cli.endings import Ended, Exit
from turnout.stack import StackError, StackSettings
from turnout.stack.parts import Parts
from turnout.stack.secrets import has_secrets, load_secrets


@click.command(short_help="Run jobs of one queue on this machine.")
@click.option("--queue", required=True, help="gpu, cpu, h2o or remote.")
@click.option("--device", help="The GPU to compute on, by number or id as nvidia-smi has them; on gpu else the first.")
@click.option("--slots", type=int, help="How many runners; on cpu else one for each core, elsewhere one.")
def worker(queue: str, device: str | None, slots: int | None) -> None:
    """Run jobs of one queue, until Ctrl-C.

    TURNOUT_DATABASE_URL and TURNOUT_BROKER_URL say of which Turnout; else it is that of `turnout up` in the same home
    directory, which starts a worker for each GPU by itself. TURNOUT_MODELS says where this machine's models are. Start
    one for each GPU.
    """
    given = {"--queue": queue, "--device": device, "--slots": slots}
    options = [part for name, value in given.items() if value is not None for part in (name, str(value))]
    try:
        environment = {**os.environ, **_broker()}
    except StackError as exc:
        raise Ended(str(exc), Exit.FAILED) from exc
    # It becomes the worker, so that signals reach it.
    os.execve(sys.executable, [sys.executable, "-P", "-m", "workers", *options], environment)  # noqa: S606 - named by us


def _broker() -> dict[str, str]:
    """Where it is, unless that is said. Raises ``StackError``."""
    settings = StackSettings()
    if settings.broker_url is not None or not has_secrets(settings.home):
        return {}
    return {"TURNOUT_BROKER_URL": Parts(settings, settings.home, load_secrets(settings.home)).broker_url}
