"""The command itself, and how its errors end it."""

import errno
import importlib
from importlib.metadata import version
from typing import Any

import click

from turnout.cli import artifacts, catalog, comparisons, control, export, files, jobs, models, webhooks
from turnout.cli.endings import Ended, Exit, ended_by
from turnout.cli.session import Session
from turnout.cli.streams import NOBODY_READS, abandon_broken, prepare
from turnout.cli.submit import submit
from turnout.errors import TurnoutError

# Imported only when used: submitting needs none of it, and it runs on Unix only. Name → (module, attribute).
_LAZY = {
    "up": ("turnout.cli.up", "up"),
    "worker": ("turnout.cli.worker", "worker"),
    "doctor": ("turnout.cli.doctor", "doctor"),
}


class _Commands(click.Group):
    """Turns the SDK's errors into exit codes."""

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*given, **more)
        except KeyboardInterrupt as exc:
            raise Ended("Interrupted.", Exit.INTERRUPTED) from exc

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TurnoutError as exc:
            raise ended_by(exc) from exc
        except OSError as exc:
            abandon_broken()
            if exc.errno == errno.EPIPE:
                raise click.exceptions.Exit(NOBODY_READS) from exc
            raise Ended(f"{exc.filename or 'The output'}: {exc.strerror or exc}.", Exit.FAILED) from exc
        except UnicodeEncodeError as exc:
            raise Ended("What was given has characters that are no UTF-8; give it in UTF-8.", Exit.USAGE) from exc
        except KeyboardInterrupt as exc:
            raise Ended("Interrupted.", Exit.INTERRUPTED) from exc
        finally:
            session = ctx.find_object(Session)
            if session is not None:
                session.close()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _LAZY:
            return super().get_command(ctx, cmd_name)
        module, attribute = _LAZY[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--url", metavar="URL", help="The server; else TURNOUT_URL, else the one that `turnout up` started.")
@click.version_option(version("turnout"), prog_name="turnout")
@click.pass_context
def cli(ctx: click.Context, url: str | None) -> None:
    """Submit machine-learning jobs and follow them.

    Exit codes: 0 succeeded, 1 failed, 2 usage, 3 cancelled, 4 not allowed, 5 not found, 6 waited too long,
    7 server not reachable, 130 interrupted (the job goes on).
    """
    ctx.obj = Session(url)


for _command in (
    submit,
    jobs.ls,
    jobs.show,
    jobs.watch_job,
    jobs.wait,
    jobs.logs,
    jobs.leaderboard,
    jobs.attempts,
    control.cancel,
    control.stop,
    control.retry,
    control.open_page,
    artifacts.artifacts,
    artifacts.plots,
    files.files,
    models.models,
    comparisons.compare,
    export.export,
    catalog.kinds,
    catalog.queues,
    catalog.workers,
    webhooks.webhook_secret,
):
    cli.add_command(_command)


def main() -> None:
    """Runs the command that this process was started with, and ends the process."""
    prepare()
    cli(prog_name="turnout")
