"""What requests are answered with, made once per process and passed to the app."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.doctor.surroundings import Surroundings
from api.figures import Figures
from api.hinter import Hinter
from api.job_reader import JobReader
from api.known_keys import KnownKeys
from api.lookers import Lookers
from api.placing import Placing
from api.settings import ApiSettings
from api.tailer import Tailer
from db.engine import Database
from db.store import Store
from tasks.ends import EndListener
from tasks.kind import Kind
from tasks.teller import Teller


@dataclass(frozen=True)
class Services:
    """The collaborators of every route."""

    settings: ApiSettings
    database: Database
    store: Store
    kinds: Mapping[str, Kind]
    hinter: Hinter
    waker: Teller
    end_listener: EndListener
    tailer: Tailer
    job_reader: JobReader
    known_keys: KnownKeys = field(default_factory=KnownKeys)
    figures: Figures = field(default_factory=Figures)
    placing: Placing = field(default_factory=Placing)
    surroundings: Surroundings = field(default_factory=Surroundings)
    lookers: Lookers = field(default_factory=Lookers)


async def services_of(request: Request) -> Services:
    # Asynchronous, since FastAPI gives every other dependency a thread.
    services = request.app.state.services
    if not isinstance(services, Services):
        raise TypeError("the app was made without its services")
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
