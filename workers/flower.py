"""``python -P -m workers.flower --port=5555 …``: Flower on our Celery application and our database. Its secrets come by
environment: ``TURNOUT_BROKER_URL``, ``TURNOUT_DATABASE_URL`` and ``FLOWER_BASIC_AUTH``."""

import atexit
import signal
import sys

from flower.app import Flower
from flower.command import apply_env_options, apply_options, extract_settings, setup_logging, sigterm_handler
from flower.options import options
from flower.urls import settings as flower_settings
from tornado.ioloop import IOLoop

from db.engine import Database
from db.settings import DatabaseSettings
from tasks.celery_app import make_app
from tasks.logs import configure
from tasks.settings import BrokerSettings
from workers.flower_events import TrueEvents
from workers.threads import end_with_any_thread


def main() -> None:
    """What Flower's own command does, with our events in the place of its own."""
    end_with_any_thread()
    configure("flower")
    apply_env_options()
    apply_options("flower", sys.argv[1:])
    extract_settings()
    setup_logging()
    app = make_app(BrokerSettings().broker_url.get_secret_value())
    events = TrueEvents(
        Database(DatabaseSettings().url),
        app,
        IOLoop.current(),
        db=options.db,
        persistent=options.persistent,
        state_save_interval=options.state_save_interval,
        enable_events=options.enable_events,
        max_workers_in_memory=options.max_workers,
        max_tasks_in_memory=options.max_tasks,
    )
    flower = Flower(options=options, capp=app, events=events, **flower_settings)
    atexit.register(flower.stop)
    signal.signal(signal.SIGTERM, sigterm_handler)
    flower.start_http_server()
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        return


if __name__ == "__main__":
    main()
