"""The app, put together from collaborators that are passed in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api.committer import Committer
from api.documentation import add_documentation
from api.hearing import hear_ends
from api.http_figures import WatchRequests
from api.no_nul import NoNul
from api.problems import handle_problems
from api.routes import catalog, comparisons, events, files, health, jobs, metrics, models, outcomes, retries, webhooks
from api.routes.doctor import doctor_router
from api.routes.submissions import submissions_router, submit_route
from api.services import Services
from api.shortcut import Shortcut
from api.submission_bodies import SubmissionBodies


def make_app(services: Services) -> FastAPI:
    """Starts and ends its threads and the tailer with itself; whoever made the services disposes of the others."""
    committer = Committer(services.database, services.hinter)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        committer.start()
        services.hinter.start()
        services.waker.start()
        tailing = asyncio.create_task(services.tailer.run())
        hearing = asyncio.create_task(hear_ends(services))
        try:
            yield
        finally:
            services.tailer.close()
            for task in (tailing, hearing):
                task.cancel()
            await asyncio.gather(tailing, hearing, return_exceptions=True)
            await asyncio.to_thread(committer.close)
            await asyncio.to_thread(services.hinter.close)
            await asyncio.to_thread(services.waker.close)

    bodies = SubmissionBodies(services.kinds)
    app = FastAPI(
        title="Turnout",
        version=version("turnout"),
        description="A durable job queue for machine learning.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    handle_problems(app)
    submissions = submissions_router(bodies, committer)
    app.add_middleware(Shortcut, route=submit_route(submissions))
    app.add_middleware(NoNul)
    app.add_middleware(WatchRequests, figures=services.figures.http)
    for router in (submissions, jobs.router, retries.router, events.router, outcomes.router):
        app.include_router(router)
    for router in (models.router, comparisons.router):
        app.include_router(router)
    for router in (files.router, catalog.router, webhooks.router, health.router, metrics.router, doctor_router()):
        app.include_router(router)
    add_documentation(app, bodies)
    return app
