"""Whether something answers at the address of a Ray cluster, asked before Ray is: it would ask for minutes.

Conventions
-----------
An address is host:port of the cluster's head, or 'auto' for a Ray that runs on this machine. What Ray's head speaks is
HTTP/2, so the first thing that it says is a frame of settings.
"""

import os
import socket

from farm.errors import FarmError

_PATIENCE_SECONDS = 10.0
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # and an empty frame of settings
_HEADER_BYTES, _TYPE_AT, _SETTINGS = 9, 3, 4
_ADVICE = "name the head of the cluster as host:port, which is 6379 unless it was started with another"


def check_address(address: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
    """Raise a FarmError unless something that may be Ray answers at an address."""
    if address in ("auto", "local"):
        return
    if "://" in address:
        raise FarmError(
            f"--address {address}: the farm runs on a machine of the cluster, not beside it; "
            "submit it there with 'ray job submit', as jobs/cluster/ shows"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise FarmError(f"--address {address}: this is no host:port; {_ADVICE}")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=patience_seconds) as line:
            line.settimeout(patience_seconds)
            if os.environ.get("RAY_USE_TLS", "0") == "1":
                return  # what answers would have to be asked in cipher
            line.sendall(_GREETING)
            answer = _receive(line, _HEADER_BYTES)
    except TimeoutError as error:
        raise FarmError(f"--address {address}: no answer within {patience_seconds:.0f} s; {_ADVICE}") from error
    except OSError as error:
        raise FarmError(f"--address {address}: cannot be reached ({error.strerror or error}); {_ADVICE}") from error
    if len(answer) < _HEADER_BYTES or answer[_TYPE_AT] != _SETTINGS:
        raise FarmError(f"--address {address}: what answers there is no Ray; {_ADVICE}")


def _receive(line: socket.socket, count: int) -> bytes:
    """Return so many bytes, or fewer where the other side hangs up before."""
    received = b""
    while len(received) < count and (more := line.recv(count - len(received))):
        received += more
    return received
