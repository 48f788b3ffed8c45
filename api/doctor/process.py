"""What this process itself may use of its machine."""

import resource
from pathlib import Path

from api.doctor.findings import Finding, fail, ok, warn

_OPEN = Path("/proc/self/fd")
_FEW, _SCARCE = 1024, 0.8


def descriptors_finding() -> Finding:
    """Each connection and each follower of a job takes a file descriptor. Raises ``OSError``."""
    most, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(_OPEN.iterdir()))
    message = f"The API has {used} files and connections open, of at most {most}."
    advice = "Raise the limit (`ulimit -n`, LimitNOFILE=, `nofile`) and restart it: connections are refused beyond it."
    if used > _SCARCE * most:
        return fail("descriptors", message, advice)
    if most < _FEW:
        return warn("descriptors", message, advice)
    return ok("descriptors", message)
