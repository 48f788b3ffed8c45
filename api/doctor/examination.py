"""All checks, at once and within a few seconds whatever is frozen."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from api.doctor.broker import UNANSWERED_ADVICE, broker_findings
from api.doctor.database import database_findings
from api.doctor.file_systems import file_systems_finding
from api.doctor.findings import Finding, fail
from api.doctor.process import descriptors_finding
from api.doctor.surroundings import address_finding, disk_finding, flower_finding, h2o_finding
from api.doctor.time_limit import Asker, TimedOut
from api.doctor.work import work_findings
from api.services import Services

_DATABASE_ADVICE = "Start it or wake it up; nothing is accepted until then, and running jobs wait with their results."


async def examine(services: Services, asker: Asker) -> list[Finding]:
    """What each check found."""
    around = services.surroundings
    checks: list[Awaitable[list[Finding]]] = [
        _check(asker, "database", lambda: database_findings(services.database), _DATABASE_ADVICE),
        _check(asker, "workers", lambda: work_findings(services.database, services.kinds), _DATABASE_ADVICE),
        _check(
            asker,
            "disk",
            lambda: [disk_finding(services.store, services.settings.min_free_bytes)],
            "Look at the disk where files are kept.",
        ),
        _check(asker, "data_place", lambda: [_data_place(services)], "Look at the disk of the home."),
        _check(asker, "descriptors", lambda: [descriptors_finding()], "Look at the API's machine."),
    ]
    if (broker_url := around.broker_url) is not None:
        found = lambda: broker_findings(broker_url.get_secret_value())  # noqa: E731
        checks.append(_check(asker, "broker", found, UNANSWERED_ADVICE))
    checks.append(_check(asker, "h2o", lambda: _if_any(h2o_finding(around)), "Look at the H2O cluster."))
    if (flower_url := around.flower_url) is not None:
        checks.append(_check(asker, "flower", lambda: [flower_finding(flower_url)], "Look at Flower."))
    groups = await asyncio.gather(*checks)
    return [*(finding for group in groups for finding in group), address_finding(services.settings)]


async def _check(asker: Asker, name: str, look: Callable[[], list[Finding]], advice: str) -> list[Finding]:
    try:
        return await asker.ask(name, look)
    except TimedOut:
        return [fail(name, "There is no answer in time.", advice)]
    except (SQLAlchemyError, OSError) as exc:
        return [fail(name, f"It can't be looked at ({type(exc).__name__}).", advice)]


def _data_place(services: Services) -> Finding:
    url = services.database.writing_engine.url
    file = Path(url.database) if services.database.is_sqlite and url.database else None
    return file_systems_finding(file, services.store.path("."))


def _if_any(finding: Finding | None) -> list[Finding]:
    return [] if finding is None else [finding]
