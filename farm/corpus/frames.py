"""Frames: what goes through the pipes between a reader process and its parent, and how the parent waits for it.

Conventions
-----------
A *frame* is a 4-byte length and that many bytes; these start with the 4-byte length of their head, which is JSON.
"""

import json
import os
import select
import signal
import struct
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from farm.errors import ReadError

LENGTH = struct.Struct(">I")
MEMORY_EXIT = 77
PIPE_BYTES = 1 << 20
"""What a pipe holds, so that a request goes out at once and neither side waits for the other in the middle of it."""
MOST_FRAME_BYTES = 256 << 20  # several times what the most notes of a file take


def write_frame(stream: IO[bytes], head: Any, parts: Sequence[Any] = ()) -> None:
    """Write the frame of a head, which becomes JSON, and of the bytes that follow it."""
    text = json.dumps(head).encode()
    stream.write(LENGTH.pack(LENGTH.size + len(text) + sum(map(len, parts))) + LENGTH.pack(len(text)) + text)
    for part in parts:
        stream.write(part)


class Frames:
    """The frames that a child sends; they are read in large pieces, because a switch to the child costs most."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._read = bytearray()
        self._told = 0  # bytes of it that were returned

    def next(self, cpu_seconds: float, wall_seconds: float) -> bytes:
        """Return the child's next frame.

        Raises
        ------
        ReadError
            `timeout` when the child used up its time, `crash` or `memory` when it ended or sends what is no frame.
        """
        assert self._child.stdout is not None
        handle = self._child.stdout.fileno()
        started, cpu_started = time.monotonic(), None
        while (answer := self._whole()) is None:
            if select.select([handle], [], [], min(1.0, cpu_seconds / 4))[0]:
                piece = os.read(handle, PIPE_BYTES)
                if not piece:
                    raise death(self._child)
                self._read += piece
                continue
            waited, used = time.monotonic() - started, _cpu_seconds(self._child.pid)
            cpu_started = used if cpu_started is None else cpu_started
            busy = waited if used is None or cpu_started is None else used - cpu_started
            if busy > cpu_seconds or waited > wall_seconds:
                raise ReadError("timeout", f"not read after {cpu_seconds:g} seconds")
        return answer

    def _whole(self) -> bytes | None:
        """Return the next frame if all of it was read."""
        start = self._told + LENGTH.size
        if start > len(self._read):
            return None
        (length,) = LENGTH.unpack_from(self._read, self._told)
        if length > MOST_FRAME_BYTES:
            raise ReadError("crash", f"the reader process answers with {length} bytes")
        if start + length > len(self._read):
            return None
        answer = bytes(memoryview(self._read)[start : start + length])
        self._told = start + length
        if self._told == len(self._read):
            self._read, self._told = bytearray(), 0
        return answer


def _cpu_seconds(process: int) -> float | None:
    """Return the processor time of a process so far; None where the system does not tell."""
    try:
        values = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def death(child: subprocess.Popen[bytes]) -> ReadError:
    """Return why a child ended, from its exit status."""
    status = child.wait()
    if status == MEMORY_EXIT:
        return ReadError("memory", "the reader ran out of memory")
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    return ReadError("crash", f"the reader process ended with {name}")
