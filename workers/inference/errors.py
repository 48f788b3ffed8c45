"""What a runtime tells the batcher and the model cache about its device. It translates its library's errors into these,
with ``raise … from exc``."""


class DeviceOutOfMemory(Exception):
    """The device has no room for this much at once; the message says what was wanted and what was free, if known."""


class DeviceLost(Exception):
    """The device answers nothing any more until its process ends (after an illegal access on a GPU, say)."""
