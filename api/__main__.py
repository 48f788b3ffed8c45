"""``python -P -m api``: the API as a process."""

import asyncio
import signal
from types import FrameType

import uvicorn

from api.app import make_app
from api.doctor.surroundings import Surroundings
from api.hinter import Hinter
from api.job_reader import JobReader
from api.rooms import check_rooms
from api.services import Services
from api.settings import ApiSettings
from api.tailer import Tailer
from db.engine import Database
from db.settings import DatabaseSettings
from db.store import Store
from tasks.ends import EndListener
from tasks.garbage import collect_rarely
from tasks.hints import HintSender
from tasks.logs import configure
from tasks.registry import load_kinds
from tasks.settings import BrokerSettings
from tasks.teller import Teller
from tasks.wakes import WakeSender

_LONGEST_GOODBYE_SECONDS = 5


class _Server(uvicorn.Server):
    """Ends open streams when it is told to stop; uvicorn alone would wait for them."""

    def __init__(self, config: uvicorn.Config, tailer: Tailer) -> None:
        super().__init__(config)
        self._tailer = tailer
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tailer.close)
        super().handle_exit(sig, frame)


def make_services() -> Services:
    """Everything from the environment."""
    home, broker = DatabaseSettings(), BrokerSettings()
    database = Database(home.url, durable=True)
    broker_url = broker.broker_url.get_secret_value()
    settings = ApiSettings()
    return Services(
        settings=settings,
        database=database,
        store=Store(home.store_root),
        kinds=load_kinds(broker.kinds),
        # Marks of hints need not survive a power cut, so they need no waiting for the disk.
        hinter=Hinter(Database(home.url), HintSender(broker_url)),
        waker=Teller(WakeSender(broker_url), "wakes"),
        end_listener=EndListener(broker_url),
        tailer=Tailer(database),
        job_reader=JobReader(database),
        surroundings=Surroundings(
            broker_url=broker.broker_url,
            h2o_cluster_file=home.home / "h2o" / "cluster.json",
            h2o_url=settings.h2o_url,
            flower_url=settings.flower_url,
        ),
    )


def main() -> None:
    check_rooms()
    configure("api")
    services = make_services()
    collect_rarely()
    config = uvicorn.Config(
        make_app(services),
        host=services.settings.api_host,
        port=services.settings.api_port,
        access_log=False,
        server_header=False,
        log_config=None,
        # Nothing here asks for a client's address or scheme.
        proxy_headers=False,
        timeout_graceful_shutdown=_LONGEST_GOODBYE_SECONDS,
    )
    # A parent that ignores SIGINT hands that on; this process is ended by SIGINT and SIGTERM alike.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _Server(config, services.tailer).run()
    except KeyboardInterrupt:
        # uvicorn has ended in order by now and raises the signal once more.
        pass
    finally:
        services.database.dispose()


if __name__ == "__main__":
    main()
