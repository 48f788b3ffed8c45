"""Where the data lies: whether that place keeps it, and keeps it in order."""

import re
from pathlib import Path

from api.doctor.findings import Finding, fail, ok, warn

_MOUNTS = Path("/proc/self/mounts")
_OF_NETWORKS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "fuse.sshfs"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def file_systems_finding(sqlite_file: Path | None, store: Path, mounts: Path = _MOUNTS) -> Finding:
    """Raises ``OSError``."""
    types = _types(mounts)
    if sqlite_file is not None and _type_at(sqlite_file, types) in _OF_NETWORKS:
        advice = "Put it on a disk of this machine, or use PostgreSQL: SQLite's log and locks don't work there."
        return fail("data_place", "The SQLite file lies on a network's file system.", advice)
    if any(_type_at(place, types) in _IN_MEMORY for place in (sqlite_file, store) if place is not None):
        message = "Jobs or files are kept in memory only, and are lost when the machine restarts."
        return warn("data_place", message, "Put TURNOUT_HOME on a disk.")
    return ok("data_place", "Jobs and files are kept on a disk.")


def _types(mounts: Path) -> dict[Path, str]:
    """The later of two mounts at one place hides the earlier."""
    lines = [line.split() for line in mounts.read_text().splitlines()]
    return {Path(_plain(place)): kind for _device, place, kind, *_rest in lines}


def _plain(escaped: str) -> str:
    """As ``proc(5)`` has it, spaces and the like are octal numbers."""
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), escaped)


def _type_at(place: Path, types: dict[Path, str]) -> str:
    absolute = place.resolve()
    return next((types[above] for above in (absolute, *absolute.parents) if above in types), "")
