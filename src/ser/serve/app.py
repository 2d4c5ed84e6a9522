"""The routes of the service."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from ser import __version__
from ser.serve.assets import Asset, load_assets
from ser.serve.docs import docs_page
from ser.serve.limits import NOTE, REASON, Guard, Limits
from ser.serve.metrics import Measure, Metrics
from ser.serve.pool import Left, Pool
from ser.serve.problems import CONTENT_TYPE, OF_UPLOADS, Refused, problem_bytes, status_of, title_of
from ser.serve.schema import Answer, Health, Model, Problem
from ser.serve.uploads import FIELD, FORM, Door, received

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import BaseModel
    from starlette.requests import Request
    from starlette.responses import Response

PREDICT = "/v1/predict"
"""Predicts a recording."""
MODEL = "/v1/model"
"""Describes the model."""
HEALTH = "/healthz"
"""Health check: whether the service is ready."""
METRICS = "/metrics"
"""Metrics for Prometheus."""
SCHEMA = "/openapi.json"
"""The OpenAPI schema of all routes."""
DOCS = "/docs"
"""The schema as an HTML page."""
DESCRIPTION = "Predict the emotion in a recording of speech. There is no authentication; uploads are not stored."
EXAMPLE = "curl -F file=@recording.wav {service}v1/predict"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}
"""Headers of every response."""
LEFT = 499
"""Status of a request whose client did not wait for the response; only in the metrics."""
NOT_KEPT = {"Cache-Control": "no-store"}
CHECKED = {"Cache-Control": "no-cache"}
"""A browser may cache the file, and revalidates it each time."""
OF_ALL = ("bad-request", "wrong-host", "too-large")
"""The reasons for which any request may be refused."""
OF_PREDICT = ("wrong-origin", "slow-upload", "wrong-type", "busy", *OF_UPLOADS)
BINARY = {"type": "string", "format": "binary"}
FORM_BODY = {"type": "object", "required": [FIELD], "properties": {FIELD: BINARY}}
BODY = {
    "requestBody": {
        "required": True,
        "content": {FORM: {"schema": FORM_BODY}, "audio/*": {"schema": BINARY}, "application/octet-stream": {"schema": BINARY}},
    }
}
Responses = dict[int | str, dict[str, Any]]


def make_app(pool: Pool, limits: Limits) -> Measure:
    """The whole service as an ASGI application; the caller starts and ends the workers."""
    from fastapi import FastAPI

    app = FastAPI(title="ser", version=__version__, description=DESCRIPTION, docs_url=None, redoc_url=None, redirect_slashes=False)
    metrics, assets = Metrics(pool), load_assets()
    add_predict(app, pool, limits, metrics)
    add_facts(app, pool, limits)
    add_metrics(app, metrics)
    add_docs(app)
    add_assets(app, assets)
    add_problems(app)
    routes = frozenset({PREDICT, MODEL, HEALTH, METRICS, SCHEMA, DOCS, *assets})
    return Measure(Guard(app, limits), metrics, routes, [(name.encode(), value.encode()) for name, value in HEADERS.items()])


def add_predict(app: "FastAPI", pool: Pool, limits: Limits, metrics: Metrics) -> None:
    from fastapi import Request, Response

    door = Door()

    @app.post(PREDICT, responses=answers(Answer, *OF_PREDICT), openapi_extra=BODY, response_class=Response)
    async def predict(request: Request) -> Response:
        """Predict the emotion in a recording: WAV, AIFF, FLAC, Ogg Vorbis, Opus or MP3, detected by content, with a sample rate of at least
        4 kHz."""
        with door.passing():
            async with received(request, limits.max_bytes) as (upload, size):
                request.scope[NOTE] = [f"{size} bytes"]
                answer = await pool.predict(upload, size, lambda: left(request))
        metrics.count_audio(answer)
        request.scope[NOTE].append(f"{answer.seconds:.1f} s of audio")
        return Response(answer.content, media_type="application/json", headers=NOT_KEPT)


async def left(request: "Request") -> None:
    """Wait until the client, whose request is complete, closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def add_facts(app: "FastAPI", pool: Pool, limits: Limits) -> None:
    from fastapi import Response

    @app.get(MODEL, responses=answers(Model))
    async def model(response: Response) -> Model:
        """The model, and the limits of the service."""
        response.headers.update(NOT_KEPT)
        return Model.model_validate(pool.facts | {"max_bytes": limits.max_bytes, "max_seconds": limits.max_seconds})

    @app.head(HEALTH, include_in_schema=False)
    @app.get(HEALTH, responses=answers(Health, "not-ready"))
    async def healthz(response: Response) -> Health:
        """Whether a worker has loaded the model and answered with it."""
        if not pool.ready:
            raise Refused("not-ready", "no worker has loaded the model yet", {"Retry-After": "1"})
        response.headers.update(NOT_KEPT)
        return Health(status="ready")


def add_metrics(app: "FastAPI", metrics: Metrics) -> None:
    from fastapi import Response
    from fastapi.responses import PlainTextResponse

    @app.get(METRICS, responses=answers(None), response_class=PlainTextResponse)
    async def counts() -> Response:
        """Numbers of requests and refusals, seconds of audio, latencies and memory in the text format of Prometheus."""
        content, media_type = metrics.text()
        return Response(content, media_type=media_type, headers=NOT_KEPT)


def add_docs(app: "FastAPI") -> None:
    from fastapi import Request
    from fastapi.responses import HTMLResponse

    described = app.openapi

    def openapi() -> dict[str, Any]:
        """The schema with the media type of errors, which the framework confuses with that of other responses."""
        if app.openapi_schema is None:
            for methods in described()["paths"].values():
                answers = [answer for method in methods.values() for answer in method["responses"].items()]
                for answer in (answer for status, answer in answers if int(status) >= 400):
                    answer["content"] = {CONTENT_TYPE: next(iter(answer["content"].values()))}
        return described()

    @app.get(DOCS, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        """The example uses the address of the browser's request, which was checked."""
        return HTMLResponse(docs_page(app.openapi(), EXAMPLE.format(service=request.base_url)), headers=CHECKED)

    app.openapi = openapi  # type: ignore[method-assign] # the documented way to extend it


def add_assets(app: "FastAPI", assets: dict[str, Asset]) -> None:
    for path, asset in assets.items():
        app.add_route(path, sender(asset), include_in_schema=False)


def sender(asset: Asset) -> "Callable[[Request], Awaitable[Response]]":
    """A handler that responds with this file, or with 304 if the browser has it."""
    from starlette.requests import Request
    from starlette.responses import Response

    headers = {**CHECKED, "ETag": asset.etag}

    async def send(request: Request) -> Response:
        if asset.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    return send


# -- errors -------------------------------------------------------------------------------


def answers(shape: "type[BaseModel] | None", *reasons: str) -> Responses:
    """The responses of a route, for its description: this model, or a problem with one of these reasons or of those of all routes."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for reason in (*OF_ALL, *reasons):
        by_status[status_of(reason)].append(reason)
    found: Responses = {200: {"description": "the result"} | ({"model": shape} if shape else {})}
    return found | {status: {"model": Problem, "description": meanings(codes)} for status, codes in sorted(by_status.items())}


def meanings(reasons: Iterable[str]) -> str:
    return "; ".join(f"{reason}: {title_of(reason)}" for reason in reasons)


def add_problems(app: "FastAPI") -> None:
    """Add handlers that give every error the same form."""
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response

    codes = {404: "not-found", 405: "wrong-method"}

    async def on_refused(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, Refused)
        return problem_response(request, error)

    async def on_http_error(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        return problem_response(request, Refused(codes.get(error.status_code, "bad-request"), error.detail, error.headers))

    async def on_left(request: "Request", _: Exception) -> "Response":
        request.scope[NOTE] = [*request.scope.get(NOTE, []), "left"]
        return Response(status_code=LEFT)

    async def on_defect(request: "Request", _: Exception) -> "Response":
        return problem_response(request, Refused("defect", "see the log of the service"))

    app.add_exception_handler(Refused, on_refused)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(ClientDisconnect, on_left)
    app.add_exception_handler(Left, on_left)
    app.add_exception_handler(Exception, on_defect)


def problem_response(request: "Request", refused: Refused) -> "Response":
    from starlette.responses import Response

    request.scope[REASON] = refused.reason
    content = problem_bytes(refused.reason, refused.detail)
    return Response(content, refused.status, media_type=CONTENT_TYPE, headers=NOT_KEPT | refused.headers)
