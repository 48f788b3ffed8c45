"""How often Python looks for garbage in cycles."""

import gc

# Python's own 700 new objects are reached by a few jobs; a bulk of ten thousand made it look through everything a
# hundred times, which took as long as the rest.
_THRESHOLDS = (50_000, 20, 50)


def collect_rarely() -> None:
    """To be called once what stays for the process's life is loaded; that is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
