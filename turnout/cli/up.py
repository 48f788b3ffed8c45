"""``turnout up``: everything on this machine, until Ctrl-C."""

import contextlib
from pathlib import Path
from typing import Any

import click

from turnout.cli.endings import Ended, Exit
from turnout.stack import Stack, StackError, StackSettings, ToldToEnd


@click.command(short_help="Start everything on this machine.")
@click.option("--home", type=click.Path(path_type=Path), help="Where data and logs lie; TURNOUT_HOME, else ./.turnout.")
@click.option("--api-port", type=int, help="Default: TURNOUT_API_PORT, else 8400.")
@click.option("--redis-port", type=int, help="Default: TURNOUT_REDIS_PORT, else 8401.")
@click.option("--h2o-port", type=int, help="Default: TURNOUT_H2O_PORT, else 8402; each node uses two.")
@click.option("--flower-port", type=int, help="Default: TURNOUT_FLOWER_PORT, else 5555.")
@click.option("--h2o-nodes", type=int, help="How many JVMs form the H2O cluster; TURNOUT_H2O_NODES, else 1.")
@click.option("--h2o-slots", type=int, help="How many H2O jobs run at once; TURNOUT_H2O_SLOTS, else 1.")
def up(**given: Any) -> None:
    """Start API, broker, workers, H2O and Flower on this machine, and end them all with Ctrl-C."""
    try:
        stack = Stack(StackSettings(**{name: value for name, value in given.items() if value is not None}))
    except StackError as exc:
        raise Ended(str(exc), Exit.FAILED) from exc
    try:
        connection = stack.start(lambda line: click.echo(line, err=True))
        click.echo(f"API     {connection.url}   (documentation: {connection.url}/docs)")
        click.echo(
            f"Flower  {connection.flower_url}   (user {connection.flower_user}, password {connection.flower_password})"
        )
        click.echo(f"Data    {connection.home}")
        click.echo("Submit: turnout submit KIND …   Ctrl-C ends everything.", err=True)
        stack.run_until_signalled()
        _say_stopping()
    except StackError as exc:
        raise Ended(str(exc), Exit.FAILED) from exc
    except ToldToEnd as exc:
        _say_stopping()
        click.get_current_context().exit(exc.exit_code)
    finally:
        stack.stop()


def _say_stopping() -> None:
    # The terminal may be gone: that is what SIGHUP says.
    with contextlib.suppress(OSError):
        click.echo("Stopping …", err=True)
