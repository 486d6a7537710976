"""The reader process inside the sandbox: takes files from a pipe, reads them, answers; and the form of what is said.

Conventions
-----------
The form of a frame is described in `farm.corpus.frames`. The head of a request is JSON with path and size of some
files, their bytes follow. The head of an answer is JSON with what was read of the next files: for each the facts of its
readings, or the reason and detail of its error; the columns of all their notes follow, column after column. Nothing
that is said is ever executed or unpickled.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from farm.corpus.frames import LENGTH, MEMORY_EXIT, write_frame
from farm.corpus.reading import SILENCE, SOUND_TYPES, Reading, Sounds
from farm.errors import ReadError

SEND_SECONDS = 0.02
IDLE_SECONDS = 30.0
_BUFFER_BYTES = 1 << 20
_FACTS = tuple(field.name for field in fields(Reading) if field.name != "sounds")


class Answers:
    """What was read and not sent yet: many small files are answered at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._files: list[Any] = []
        self._sounds: list[Sounds] = []
        self._sent = time.monotonic()

    def add(self, readings: list[Reading]) -> None:
        self._files.append([[*(getattr(one, name) for name in _FACTS), len(one.sounds.pitch)] for one in readings])
        self._sounds += [reading.sounds for reading in readings]
        self._send_soon()

    def fail(self, reason: str, detail: str) -> None:
        self._files.append({"reason": reason, "detail": detail})
        self._send_soon()

    def send(self) -> None:
        if not self._files:
            return
        columns = [np.concatenate(column).view(np.uint8) for column in zip(SILENCE, *self._sounds, strict=True)]
        write_frame(self._stream, self._files, columns)
        self._stream.flush()
        self._files, self._sounds, self._sent = [], [], time.monotonic()

    def _send_soon(self) -> None:
        if time.monotonic() - self._sent > SEND_SECONDS:
            self.send()


def unpack(body: bytes) -> Iterator[tuple[list[Reading], ReadError | None]]:
    """Yield what an answer says of each file: its readings, or the error that it has none for."""
    (size,) = LENGTH.unpack_from(body)
    files, at = json.loads(body[LENGTH.size : LENGTH.size + size]), LENGTH.size + size
    n_notes = sum(facts[-1] for file in files if isinstance(file, list) for facts in file)
    columns = []
    for dtype in SOUND_TYPES:
        columns.append(np.frombuffer(body, dtype, n_notes, at))
        at += n_notes * dtype.itemsize
    start = 0
    for file in files:
        if isinstance(file, dict):
            yield [], ReadError(file["reason"], file["detail"])
            continue
        readings = []
        for *facts, count in file:
            end = start + count
            readings.append(Reading(*[*facts, Sounds(*[column[start:end] for column in columns])]))
            start = end
        yield readings, None


def serve(parent: int, memory_bytes: int) -> None:
    """Answer requests until the parent closes the pipe, or asks for nothing for `IDLE_SECONDS`."""
    requests, stream = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", _BUFFER_BYTES)
    _die_with(parent)
    from farm.corpus.compiled import compiled_counter
    from farm.corpus.readers import read_file

    count = compiled_counter()
    silence = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(silence, standard)  # what a parser prints must not fall between the frames
    _limit_memory(memory_bytes)
    write_frame(stream, "ready")
    stream.flush()
    while select.select([requests], [], [], IDLE_SECONDS)[0]:
        head = requests.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return
        body = requests.read(LENGTH.unpack(head)[0])
        (size,) = LENGTH.unpack_from(body)
        at, answers = LENGTH.size + size, Answers(stream)
        for path, length in json.loads(body[LENGTH.size : at]):
            data = body[at : at + length]
            at += length
            try:
                readings = read_file(data, path, count)
            except ReadError as error:
                answers.fail(error.reason, error.detail)
            except MemoryError:
                os._exit(MEMORY_EXIT)  # memory that is gone does not come back to this process
            except Exception as error:  # the boundary of the process: a fault of ours on one file costs that file
                answers.fail("crash", f"{type(error).__name__}: {error}")
            else:
                answers.add(readings)
        answers.send()


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
