"""The application: routes of the domains, health, what is deployed, an OpenAPI page without outside hosts."""

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ecomine import __version__, deployment
from ecomine.deployment.live import Live
from ecomine.domains import DOMAINS
from ecomine.errors import EcomineError
from ecomine.serving import errors, limits, pages
from ecomine.serving.access import Access
from ecomine.serving.ahead import Ahead
from ecomine.serving.catalogue import Catalogue
from ecomine.serving.desk import Desk
from ecomine.serving.judge import Judge
from ecomine.serving.keys import EVENTS, OPERATION, RECEIPTS, Keys, guard
from ecomine.serving.limits import Limits
from ecomine.serving.lineup import LineUp
from ecomine.serving.maker import Maker
from ecomine.serving.measures import SHARED, TOGETHER, Measures
from ecomine.serving.memo import Memo
from ecomine.serving.moment import Moment
from ecomine.serving.quick import Quick, Short
from ecomine.serving.receipts import Receipts
from ecomine.serving.routes import AHEAD, PLAIN, QUESTIONS, ROUTES, SHORT
from ecomine.serving.routes.events import router as event_routes
from ecomine.serving.routes.receipts import router as receipt_routes
from ecomine.serving.stream import Stream
from ecomine.serving.till import Till
from ecomine.stages import Context

DESCRIPTION = """Daily decisions of an online shop, from the versions that are deployed in this workspace.

Every answer names the version (`model`, a digest) that gave it, and `X-Answered-By` the step: the deployed version, a
canary, the version before it, or what was published last where none of them can answer. Errors are
`{"error": …, "hint": …}`.
An `X-Request-ID` that is sent comes back with the answer; otherwise one is made. A decision comes with an
`X-Receipt-ID`: `/v1/receipts/{id}` shows what it was made of, and `ecomine replay ID` makes it again."""


class Check(BaseModel):
    """One check of the gate."""

    name: str
    value: float
    limit: float
    passed: bool
    why: str


class Deployed(BaseModel):
    """A version that answers."""

    domain: str
    model: str = Field(description="digest of the version")
    as_of: Moment = Field(description="the model has seen the shop up to this moment (UTC)")
    deployed_at: Moment | None = Field(description="when it was put in its place, or gone back to")
    features: list[str] = Field(description="what the model is told about a row")
    metrics: dict[str, float] = Field(description="of the model on its test period")
    checks: list[Check] = Field(description="the gate it passed, counted in money")


class Models(BaseModel):
    """What is deployed."""

    models: list[Deployed]


class Health(BaseModel):
    status: str


class Readiness(BaseModel):
    """Whether each domain can answer; `degraded` where it does so without its deployed version or its features."""

    ready: bool
    domains: dict[str, str] = Field(description="domain → digest of the version that answers, or why none does")
    degraded: dict[str, str] = Field(description="domain → why its answers are not from the deployed version's model")
    events: str = Field(description="whether events are written, and how far they are taken on")


def create_app(workspace: Path) -> FastAPI:
    """The API over a workspace; raises SettingsError where its params.yaml cannot be used."""
    from fastapi_offline import FastAPIOffline

    context = Context.of(workspace)
    catalogue = Catalogue(context.store)
    lineups = {name: LineUp(context.store, DOMAINS[name]) for name in context.params.domains if name in ROUTES}
    live, stream = Live(context.store), Stream(workspace, context.params.streaming)
    till = Till(workspace, stream.intake)
    desks: list[Desk] = []

    def readiness() -> Readiness:
        domains, ready, degraded = {}, bool(lineups), {}
        for name, lineup in lineups.items():
            try:
                domains[name], why = lineup.state()
                if why is not None:
                    degraded[name] = why
            except EcomineError as error:
                domains[name], ready = str(error), False
        writes, events = stream.state()
        return Readiness(ready=ready and writes, domains=domains, degraded=degraded, events=events)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(receipts.open)
        await run_in_threadpool(readiness)  # load now, so that nobody waits for the imports of a first answer
        judge = Judge(context, lineups, live)
        judge.start()
        stream.start()
        if till.DOMAIN in lineups:
            await run_in_threadpool(till.look)
        yield
        await run_in_threadpool(stream.close)
        judge.stop()
        for desk in desks:
            await run_in_threadpool(desk.close)

    app = FastAPIOffline(
        title="ecomine", version=__version__, description=DESCRIPTION, redoc_url=None, lifespan=lifespan
    )
    app.state.lineups, app.state.till = lineups, till
    measures, serving = Measures(lineups), context.params.serving
    ways: list[tuple[Short, Desk]] = []
    keys, receipts, memo = Keys(context.store), Receipts(context.store, serving.receipt_days), Memo(serving.memory_mb)
    app.add_middleware(Quick, ways=ways, keys=keys if serving.keys else None)
    app.add_middleware(Limits, max_bytes=serving.max_body_kb * 1024, a_second=serving.requests_a_second)
    app.add_middleware(Access, measures=measures)
    errors.install(app)

    def guarded(scope: str) -> dict[str, Any]:
        """What a route of this scope is declared with."""
        return {"dependencies": [Depends(guard(keys, scope))], "responses": errors.REFUSALS} if serving.keys else {}

    for name, lineup in lineups.items():
        ahead = Ahead(context.store, lineup.domain, AHEAD[name], receipts.packer) if name in AHEAD else None
        desk = Desk(lineup, catalogue, receipts, live, measures, QUESTIONS[name], PLAIN[name], memo, ahead)
        desks.append(desk)
        if name in SHORT:
            ways.append((SHORT[name], desk))
        app.include_router(ROUTES[name](desk), **guarded(name))
    app.include_router(receipt_routes(context.store, receipts), **guarded(RECEIPTS))
    app.include_router(event_routes(stream.intake, context.params.streaming, measures), **guarded(EVENTS))

    @app.get("/healthz", tags=["operation"], summary="Is the process alive")
    def healthz() -> Health:
        return Health(status="alive")

    @app.get(
        "/readyz",
        tags=["operation"],
        summary="Can every domain answer",
        responses={503: {"model": Readiness}},
    )
    def readyz() -> JSONResponse:
        state = readiness()
        return JSONResponse(state.model_dump(), 200 if state.ready else 503)

    @app.get(
        "/metrics",
        tags=["operation"],
        summary="Requests, seconds and versions, for Prometheus",
        response_class=PlainTextResponse,
        **guarded(OPERATION),
    )
    def metrics() -> PlainTextResponse:
        return PlainTextResponse(measures.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/models", tags=["operation"], summary="What is deployed", **guarded(OPERATION))
    def models() -> Models:
        answering = {name: one.get().bundle for name, one in lineups.items() if one.deployed.answers}
        return Models(models=[_deployed(context, bundle) for bundle in answering.values()])

    if not serving.keys:  # pages tell a shop's figures, and a browser has no key to show
        app.router.routes.extend(pages.routes(context.store))
    return app


def _deployed(context: Context, bundle: deployment.Bundle) -> Deployed:
    records = deployment.history(context.store, bundle.domain)
    times = [record["when"] for record in records if record["digest"] == bundle.digest]
    return Deployed(
        domain=bundle.domain,
        model=bundle.digest,
        as_of=bundle.as_of,
        deployed_at=times[-1] if times else None,
        features=list(bundle.features),
        metrics=bundle.metrics.get("model", {}),
        checks=[Check(**check) for check in bundle.checks],
    )


def run(workspace: Path, host: str, port: int, workers: int = 1) -> None:
    """Serve a workspace until interrupted, by so many processes; raises EcomineError for an address that is taken."""
    import uvicorn

    _refuse_taken(host, port)
    configure_logs()
    # uvicorn's own access log holds the caller's address and the whole path, which names a customer.
    settings: dict[str, Any] = {"host": host, "port": port, "access_log": False, "log_config": None}
    context = Context.of(workspace)  # what is wrong with the settings is said once, not by every worker
    with _maker(context):
        if workers == 1:
            uvicorn.run(create_app(workspace), **settings)
            return
        with tempfile.TemporaryDirectory(prefix="ecomine-metrics-") as folder:
            pace = str(Path(folder) / "pace")
            os.environ.update({WORKSPACE: str(workspace), TOGETHER: folder, SHARED: "1", limits.TOGETHER: pace})
            uvicorn.run(f"{__name__}:worker", factory=True, workers=workers, **settings)


@contextmanager
def _maker(context: Context) -> Iterator[None]:
    """Answers are made ahead meanwhile, where that is wished: by one process, however many answer."""
    if not context.params.serving.ahead:
        yield
        return
    # The server ends by the signal that it got; as an exception it comes by here.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    maker = Maker(context)
    maker.start()
    try:
        yield
    finally:
        maker.stop()


WORKSPACE = "ECOMINE_SERVED_WORKSPACE"
"""Environment variable by which a worker is told what to serve."""


def worker() -> FastAPI:
    """The application of one of several processes."""
    configure_logs()
    return create_app(Path(os.environ[WORKSPACE]))


def _refuse_taken(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise EcomineError(
            f"Nothing can listen on port {port} of {host}: {error.strerror}. Choose another with --port and --host, or "
            "in the section `serving` of params.yaml."
        ) from error


def configure_logs() -> None:
    """Log lines of the API to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for name, level in (("ecomine", logging.INFO), ("uvicorn", logging.INFO)):
        logger = logging.getLogger(name)
        logger.handlers, logger.level, logger.propagate = [handler], level, False
