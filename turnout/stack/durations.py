"""Durations as the other processes take them in ``TURNOUT_…`` variables."""

import re

_NUMBER = r"\d+(?:\.\d+)?"
_ISO = re.compile(
    rf"P(?:(?P<w>{_NUMBER})W)?(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?"
)
_CLOCK = re.compile(r"(?P<h>\d+):(?P<m>\d{2})(?::(?P<s>\d{2}(?:\.\d+)?))?")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def seconds_of(text: str) -> float:
    """Seconds as a number, ISO 8601 without months and years (``PT1M30S``), or ``H:MM:SS``. Raises ``ValueError``."""
    if re.fullmatch(_NUMBER, text):
        return float(text)
    match = _ISO.fullmatch(text) or _CLOCK.fullmatch(text)
    given = {} if match is None else {unit: float(amount) for unit, amount in match.groupdict().items() if amount}
    if not given:
        raise ValueError(f"{text!r} is no duration, such as 30 (seconds) or PT30S")
    return sum(_SECONDS[unit] * amount for unit, amount in given.items())
