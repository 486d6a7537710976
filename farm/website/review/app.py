"""The review's server as a program of requests and answers: the site, what scripts ask for, and the changes.

Conventions
-----------
Whatever the answer, it may be neither kept, nor framed, nor read by another site, and it holds no trace of this
program. What takes time runs beside the loop, one change and one piece at a time; when too many wait, the answer is to
come back.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farm.errors import BusyError, ChangedError, FarmError, IntegrityError, StorageError
from farm.storage import Storage
from farm.website.review import guard, pages
from farm.website.review.wishes import MAX_BODY_BYTES, Decision, Desk, Piece, Retraining, read_wish

_BODY_SECONDS = 10
_MOST_WAITING = 4
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_STATUSES: tuple[tuple[type[FarmError], int], ...] = (
    (ChangedError, 409),
    (BusyError, 423),
    (IntegrityError, 500),
    (StorageError, 500),
    (FarmError, 422),
)
_ENTERED = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Model farm</title><meta name="farm-review-word" data-word="{word}">
<script src="/review/static/enter.js"></script></head>
<body><p><a href="/site/index.html">Open the review</a></p></body>
</html>
"""


def review_app(storage: Storage, desk: Desk, roll: str, secrets: guard.Secrets, key: str) -> ASGIApp:
    """Return the server's program.

    Parameters
    ----------
    roll
        The script that draws a piano-roll.
    key
        Opens the first address, once.
    """
    review = _Review(storage, desk, pages.own_files(roll), secrets, key)
    routes = [
        Route(f"{guard.ENTER}{{key}}", review.enter, methods=["GET"]),
        Route("/", review.start, methods=["GET"]),
        Route("/review/status", review.status, methods=["GET"]),
        Route("/review/style", review.style, methods=["GET"]),
        Route("/review/decide", review.decide, methods=["POST"]),
        Route("/review/compose", review.compose, methods=["POST"]),
        Route("/review/retrain", review.retrain, methods=["POST"]),
        Route("/review/static/{name}", review.own_file, methods=["GET"]),
        *(Route(f"/{room}/{{rest:path}}", review.file, methods=["GET"]) for room in ("site", "catalog", "runs")),
    ]
    handlers: dict[Any, Any] = {HTTPException: _http_error, FarmError: _farm_error, Exception: _fault}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return _Guarded(app, secrets)


class _Review:
    """What each route answers."""

    def __init__(self, storage: Storage, desk: Desk, own: dict[str, bytes], secrets: guard.Secrets, key: str) -> None:
        self._storage, self._desk, self._own = storage, desk, own
        self._secrets, self._key = secrets, key
        self._turns = {"change": _Turns(), "piece": _Turns()}

    async def enter(self, request: Request) -> Response:
        """Exchange the first address, once, for the cookie and the word."""
        if request.method == "GET" and self._key and guard.equal(request.path_params["key"], self._key):
            self._key = ""
            page = Response(_ENTERED.format(word=escape(self._secrets.word)), media_type="text/html")
            page.set_cookie(self._secrets.cookie_name, self._secrets.cookie, httponly=True, samesite="strict")
            return page
        head = _head(request.scope)
        if guard.has_cookie(head, self._secrets):
            return Response(status_code=303, headers={"location": "/site/index.html"})
        return _told(request.scope, 403, guard.STRANGER.why)

    async def start(self, request: Request) -> Response:
        return Response(status_code=303, headers={"location": "/site/index.html"})

    async def file(self, request: Request) -> Response:
        key = request.scope["path"].removeprefix("/")
        data = await run_sync(self._read, key)
        if data is None:
            raise HTTPException(404, "There is no such page.")
        return Response(data, headers={"content-type": pages.type_of(key)})

    def _read(self, key: str) -> bytes | None:
        data = pages.find(self._storage, key)
        return pages.with_controls(self._storage, key, data) if data and key.endswith(".html") else data

    async def own_file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._own:
            raise HTTPException(404, "There is no such page.")
        return Response(self._own[name], headers={"content-type": pages.type_of(name)})

    async def status(self, request: Request) -> Response:
        return _json(await run_sync(self._desk.status))

    async def style(self, request: Request) -> Response:
        return _json(await run_sync(self._desk.style, request.query_params.get("name", "")))

    async def decide(self, request: Request) -> Response:
        wish = read_wish(Decision, await _body(request))
        return await self._in_turn("change", lambda: self._desk.decide(wish))

    async def compose(self, request: Request) -> Response:
        wish = read_wish(Piece, await _body(request))
        return await self._in_turn("piece", lambda: self._desk.compose(wish))

    async def retrain(self, request: Request) -> Response:
        wish = read_wish(Retraining, await _body(request))
        return await self._in_turn("change", lambda: self._desk.retrain(wish))

    async def _in_turn(self, kind: str, work: Callable[[], dict[str, Any]]) -> Response:
        async with self._turns[kind].next():
            return _json(await run_sync(work))


class _Turns:
    """One at a time, and few who wait."""

    def __init__(self) -> None:
        self._lock, self._waiting = anyio.Lock(), 0

    @asynccontextmanager
    async def next(self) -> AsyncIterator[None]:
        if self._waiting >= _MOST_WAITING:
            raise HTTPException(503, "Too much is asked for at once; nothing was changed. Ask again in a moment.")
        self._waiting += 1
        try:
            async with self._lock:
                yield
        finally:
            self._waiting -= 1


class _Guarded:
    """Lets nobody in whom the guard refuses, and gives every answer the same head."""

    def __init__(self, app: ASGIApp, secrets: guard.Secrets) -> None:
        self._app, self._secrets = app, secrets
        self._headers = {**_HEADERS, "content-security-policy": pages.policy()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in self._headers.items()]
                message["headers"] = [*message["headers"], *ours]
            await send(message)

        refused = guard.refusal(_head(scope), self._secrets)
        if refused is not None:
            await _told(scope, refused.status, refused.why)(scope, receive, answer)
            return
        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # answered by `_fault`; whatever it is, its trace is for nobody
            asked = guard.ENTER if scope["path"].startswith(guard.ENTER) else scope["path"]  # never its key
            print(f"review: {asked}: {type(error).__name__}: {error}", file=sys.stderr)


def _head(scope: Scope) -> guard.Head:
    """Return a request's head as it was sent, the path still encoded and without the query."""
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return guard.Head(scope["method"], path, headers)


async def _body(request: Request) -> bytes:
    """Return the body of a request, which is small and comes soon."""
    body = b""
    with anyio.move_on_after(_BODY_SECONDS) as scope:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise HTTPException(413, f"More than {MAX_BODY_BYTES} bytes were sent; nothing was changed.")
    if scope.cancelled_caught:
        raise HTTPException(408, "The request did not come to its end; nothing was changed.")
    return body


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    why = error.detail if error.status_code != 405 else "Nothing here answers to this method."
    return _told(request.scope, error.status_code, why)


async def _farm_error(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    return _told(request.scope, status, str(error))


async def _fault(request: Request, error: Exception) -> Response:
    return _told(request.scope, 500, "The review failed here; its terminal says how.")


def _told(scope: Scope, status: int, why: str) -> Response:
    """Return an answer that says no: to scripts, which ask under /review, as JSON, to people as a line of text."""
    is_script = scope["path"].startswith("/review/")
    return _json({"error": why}, status) if is_script else Response(why, status, media_type="text/plain")


def _json(value: dict[str, Any], status: int = 200) -> Response:
    data = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str).encode("utf-8", "replace")
    return Response(data, status, media_type="application/json")
