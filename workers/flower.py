"""``python -P -m workers.flower --port=5555 …``: Flower on our Celery application. Its secrets come by environment:
``TURNOUT_BROKER_URL`` and ``FLOWER_BASIC_AUTH``."""

import sys

from tasks.celery_app import make_app
from tasks.settings import BrokerSettings


def main() -> None:
    settings = BrokerSettings()
    app = make_app(settings.broker_url.get_secret_value())
    app.start(["flower", *sys.argv[1:]])


if __name__ == "__main__":
    main()
