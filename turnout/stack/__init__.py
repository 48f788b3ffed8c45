"""Everything on one machine: starts Turnout's processes, restarts those that die, and ends them all together."""

from turnout.stack.errors import StackError
from turnout.stack.settings import StackSettings
from turnout.stack.signals import ToldToEnd
from turnout.stack.stack import Connection, Stack

__all__ = ["Connection", "Stack", "StackError", "StackSettings", "ToldToEnd"]
