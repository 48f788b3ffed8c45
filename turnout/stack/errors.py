"""What keeps a stack from starting."""


class StackError(Exception):
    """The stack can't start; the message says what to do."""
