"""The review's server on this machine: a socket on the loopback, served until a signal ends it."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from farm.errors import FarmError
from farm.website.review.guard import HOST

_MAX_CONNECTIONS = 64
_MAX_HEAD_BYTES = 16_384
_IDLE_SECONDS = 5
_LAST_WORK_SECONDS = 60  # for a decision that is being written when the end is asked for


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine only; port 0 takes any free one.

    Raises
    ------
    FarmError
        When the port is not to be had.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen(_MAX_CONNECTIONS)
    except OSError as error:
        found.close()
        in_use = error.errno == errno.EADDRINUSE
        why = "is in use, perhaps by another 'farm review'" if in_use else f"cannot be had ({error.strerror})"
        raise FarmError(f"--port: {port} {why}; give another one, or none for any that is free") from error
    return found


def serve(app: ASGIApp, at: socket.socket, ready: Callable[[], None]) -> int:
    """Answer until SIGINT or SIGTERM comes, let what is being written come to its end, and return the signal's number.

    Parameters
    ----------
    ready
        Called when the first request can come.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # requests that are none are no news
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_LAST_WORK_SECONDS,
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
    )
    return asyncio.run(_serve(_Server(config), at, ready))


class _Server(uvicorn.Server):
    """A server that leaves the signals to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(server: _Server, at: socket.socket, ready: Callable[[], None]) -> int:
    came: list[int] = []

    def end(number: int) -> None:
        server.force_exit = bool(came)  # whoever asks twice does not wait
        server.should_exit = True
        came.append(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    loop.call_soon(ready)
    await server.serve(sockets=[at])
    return came[0] if came else signal.SIGTERM
