"""What a runtime tells the batcher and the model cache about its device. It translates its library's errors into these,
with ``raise … from exc``."""

import os

_BROKEN_EXIT_CODE = 70


class DeviceOutOfMemory(Exception):
    """The device has no room for this much at once; the message says what was wanted and what was free, if known."""


class DeviceLost(Exception):
    """The device answers nothing any more until its process ends (after an illegal access on a GPU, say)."""


def end_process() -> None:
    """End the runner at once, where nothing in it can go on: a new one takes its place."""
    os._exit(_BROKEN_EXIT_CODE)
