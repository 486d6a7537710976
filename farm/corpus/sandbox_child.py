"""The reader process inside the sandbox: takes files from a pipe, reads them, answers; and the form of what is said.

Conventions
-----------
A *frame* is a 4-byte length and that many bytes; these start with the 4-byte length of their head. The head of a
request is JSON with path and size of some files, their bytes follow. The head of an answer, one per file and in
order, is JSON with the facts of its readings, the columns of their notes follow. Nothing that is said is ever executed
or unpickled.
"""

import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from farm.corpus.reading import SOUND_TYPES, Reading, Sounds
from farm.errors import ReadError

LENGTH = struct.Struct(">I")
MEMORY_EXIT = 77
FLUSH_SECONDS = 0.02
IDLE_SECONDS = 30.0
_BUFFER_BYTES = 1 << 20
_FACTS = tuple(field.name for field in fields(Reading) if field.name != "sounds")


def write_frame(stream: IO[bytes], head: Any, parts: Sequence[Any] = ()) -> None:
    """Write the frame of a head, which becomes JSON, and of the bytes that follow it."""
    text = json.dumps(head).encode()
    stream.write(LENGTH.pack(LENGTH.size + len(text) + sum(map(len, parts))) + LENGTH.pack(len(text)) + text)
    for part in parts:
        stream.write(part)


def write_readings(stream: IO[bytes], readings: list[Reading]) -> None:
    """Write the frame that `unpack` takes apart."""
    facts = [([getattr(reading, name) for name in _FACTS], len(reading.sounds.pitch)) for reading in readings]
    write_frame(
        stream,
        {"readings": facts},
        [np.ascontiguousarray(column).view(np.uint8) for reading in readings for column in reading.sounds],
    )


def unpack(body: bytes) -> tuple[list[Reading], tuple[str, str] | None]:
    """Return the readings in an answer, or the reason and detail of its error."""
    (size,) = LENGTH.unpack_from(body)
    answer = json.loads(body[LENGTH.size : LENGTH.size + size])
    if "error" in answer:
        reason, detail = answer["error"]
        return [], (reason, detail)
    readings, at = [], LENGTH.size + size
    for facts, count in answer["readings"]:
        columns = []
        for dtype in SOUND_TYPES:
            columns.append(np.frombuffer(body, dtype, count, at))
            at += count * dtype.itemsize
        readings.append(Reading(sounds=Sounds(*columns), **dict(zip(_FACTS, facts, strict=True))))
    return readings, None


def serve(parent: int, memory_bytes: int) -> None:
    """Answer requests until the parent closes the pipe, or asks for nothing for `IDLE_SECONDS`."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", _BUFFER_BYTES)
    _die_with(parent)
    from farm.corpus.compiled import compiled_counter
    from farm.corpus.readers import read_file

    count = compiled_counter()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)  # what a parser prints must not fall between the frames
    _limit_memory(memory_bytes)
    write_frame(answers, "ready")
    answers.flush()
    while select.select([requests], [], [], IDLE_SECONDS)[0]:
        head = requests.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return
        body = memoryview(requests.read(LENGTH.unpack(head)[0]))
        (size,) = LENGTH.unpack_from(body)
        at, flushed = LENGTH.size + size, time.monotonic()
        for path, length in json.loads(bytes(body[LENGTH.size : at])):
            data = bytes(body[at : at + length])
            at += length
            try:
                readings = read_file(data, path, count)
            except ReadError as error:
                write_frame(answers, {"error": [error.reason, error.detail]})
            except MemoryError:
                os._exit(MEMORY_EXIT)  # memory that is gone does not come back to this process
            except Exception as error:  # the boundary of the process: a fault of ours on one file costs that file
                detail = f"{type(error).__name__}: {error}"
                write_frame(answers, {"error": ["crash", detail]})
            else:
                write_readings(answers, readings)
            if time.monotonic() - flushed > FLUSH_SECONDS:
                answers.flush()
                flushed = time.monotonic()
        answers.flush()


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, also while a reader hangs."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)


def _limit_memory(memory_bytes: int) -> None:
    """Bound the address space to what this process has now and `memory_bytes` more."""
    if sys.platform == "linux":
        import resource

        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (now + memory_bytes, now + memory_bytes))


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
