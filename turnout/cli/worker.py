"""``turnout worker``: one worker of a Turnout that runs elsewhere, or beside the workers of this machine."""

import os
import sys

import click


@click.command(short_help="Run jobs of one queue on this machine.")
@click.option("--queue", required=True, help="gpu, cpu, h2o or remote.")
@click.option("--device", help="The GPU to compute on, by number or id as nvidia-smi has them; on gpu else the first.")
@click.option("--slots", type=int, help="How many runners; on cpu else one for each core, elsewhere one.")
def worker(queue: str, device: str | None, slots: int | None) -> None:
    """Run jobs of one queue, until Ctrl-C.

    TURNOUT_DATABASE_URL and TURNOUT_BROKER_URL say of which Turnout, TURNOUT_MODELS where this machine's models are.
    Start one for each GPU.
    """
    given = {"--queue": queue, "--device": device, "--slots": slots}
    options = [part for name, value in given.items() if value is not None for part in (name, str(value))]
    # It becomes the worker, so that signals reach it.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "workers", *options])  # noqa: S606 - named by us
