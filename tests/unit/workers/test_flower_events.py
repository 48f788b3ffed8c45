"""No event is forgotten, whenever it comes."""

import asyncio
import time
from pathlib import Path

from tornado.ioloop import IOLoop

from db.engine import Database
from db.schema import upgrade
from tasks.celery_app import make_app
from workers.flower_events import TrueEvents


def test_an_event_that_arrives_just_before_a_round_is_looked_up_by_it_or_the_next(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'turnout.db'}")
    upgrade(database)
    started = {"type": "task-started", "uuid": "nobody", "hostname": "w@here", "clock": 1}

    async def story() -> bool:
        events = TrueEvents(database, make_app("memory://"), IOLoop.current(), max_tasks_in_memory=10)
        # The loop hears of it when it comes to it, which is in the middle of the first round.
        events.on_event({**started, "timestamp": time.time(), "local_received": time.time()})
        await events.look()
        assert "nobody" in events.state.tasks
        await events.look()
        return "nobody" in events.state.tasks

    assert not asyncio.run(story())
    database.dispose()
