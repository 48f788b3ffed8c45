"""One thing done to several ids: what goes wrong with one keeps no other from its turn."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from turnout.cli.endings import Ended, Exit, ended_by
from turnout.errors import NotAllowed, ServerUnreachable, TurnoutError

_Done = TypeVar("_Done")


def each(ids: Sequence[str], do: Callable[[str], _Done]) -> tuple[list[_Done], Exit]:
    """What was done, and the exit code of the first that could not be; says on standard error why. Raises what would
    meet all of them alike."""
    done: list[_Done] = []
    code = Exit.SUCCEEDED
    for one in ids:
        try:
            done.append(do(one))
        except (NotAllowed, ServerUnreachable):
            raise
        except TurnoutError as exc:
            ended = ended_by(exc)
            Ended(f"{one}: {ended.message}" if len(ids) > 1 else ended.message, ended.code, ended.more).show()
            code = code or ended.code
    return done, code
