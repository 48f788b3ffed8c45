"""Everything on one machine: starts Turnout's processes, restarts those that die, and ends them all together."""

from turnout.stack.settings import StackSettings
from turnout.stack.stack import Connection, Stack, StackError

__all__ = ["Connection", "Stack", "StackError", "StackSettings"]
