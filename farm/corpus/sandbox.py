"""A reader process with time and memory limits: a file that hangs, crashes or swells costs itself only.

The child stays warm over many files and is started anew after a failure and when it has grown. It ends by
itself when it has had nothing to do for a while, and never outlives its parent.

Small files are answered several at a time, so that they cost no switch between processes each. What was not answered
when a child fails is read again, file by file, so that no file is tried more than twice.

Conventions
-----------
What parent and child say to each other is described in `farm.corpus.sandbox_child`.
"""

import contextlib
import functools
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import farm
from farm.corpus.frames import PIPE_BYTES, Frames, death, write_frame
from farm.corpus.reading import Reading
from farm.corpus.sandbox_child import unpack
from farm.errors import FarmError, ReadError

GROWN_BYTES = 512 << 20
"""A child that holds so much between two requests is replaced: parsers of scores keep what they once read."""
FILES_PER_REQUEST = 64
BYTES_PER_REQUEST = 1 << 20
START_SECONDS = 120.0
PATIENCE = 4.0
"""A file may take this many times its limit by the clock on the wall, because other work shares the cores."""


@dataclass(frozen=True)
class Limits:
    """What one file may cost: processor seconds, and bytes of address space beyond what the idle child has."""

    seconds: float = 30.0
    memory_bytes: int = 1 << 30


class Outcome(NamedTuple):
    """The readings of one file, or why there are none."""

    readings: list[Reading]
    error: ReadError | None


class Sandbox:
    """A warm reader process. Use it from one thread at a time; close it or let the process end."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._child: subprocess.Popen[bytes] | None = None
        self._frames: Frames | None = None
        self._is_answering = False

    def read(self, files: Iterable[tuple[str, bytes]]) -> Iterator[Outcome]:
        """Yield the outcome of each (path, bytes), in order; `timeout`, `crash` and `memory` are outcomes too."""
        for group in _grouped(files):
            yield from self._read_group(group)

    def close(self) -> None:
        """End the child; the next `read` starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what could not be sent any more was for a child that is gone
                        pipe.close()

    def _read_group(self, group: list[tuple[str, bytes]]) -> list[Outcome]:
        """Return the outcomes of a group; when the child fails, the rest goes file by file until the cause is found."""
        outcomes: list[Outcome] = []
        alone = False
        while len(outcomes) < len(group):
            start = len(outcomes)
            request = group[start : start + 1] if alone else group[start:]
            try:
                child, frames = self._start()
                self._is_answering = True
                _send(child, request)
                while len(outcomes) < start + len(request):
                    answer = frames.next(self.limits.seconds, PATIENCE * self.limits.seconds)
                    outcomes += _told(answer, start + len(request) - len(outcomes))
                self._is_answering = False
            except ReadError as error:
                self.close()
                if alone:
                    outcomes.append(Outcome([], error))
                alone = not alone
        return outcomes

    def _start(self) -> tuple[subprocess.Popen[bytes], Frames]:
        """Return the running child and what it sends, a new one where there is none or it has served its time."""
        if self._child is not None:
            is_spent = self._is_answering or _resident_bytes(self._child.pid) > GROWN_BYTES  # answering: interrupted
            if is_spent or self._child.poll() is not None:
                self.close()
        if self._child is None:
            package = str(Path(farm.__file__).resolve().parent.parent)
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])]),
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            }
            module = ["-P", "-m", "farm.corpus.sandbox_child"]  # -P: nothing in the current folder is imported
            command = [sys.executable, *module, str(os.getpid()), str(self.limits.memory_bytes)]
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=PIPE_BYTES,
                pipesize=PIPE_BYTES,
                env=environment,
            )
            self._is_answering = False
            self._frames = Frames(self._child)
            try:
                self._frames.next(START_SECONDS, START_SECONDS)
            except ReadError as error:
                self.close()
                raise FarmError(f"the reader process does not start ({error}); run 'farm doctor'") from error
        assert self._frames is not None
        return self._child, self._frames


def worker_sandbox() -> Sandbox:
    """Return the sandbox that this worker keeps warm from one batch to the next."""
    return _sandbox_of(os.getpid(), threading.get_ident())


@functools.lru_cache(maxsize=64)
def _sandbox_of(process: int, thread: int) -> Sandbox:
    """One per thread, because a pipe serves one reader; one per process, because a fork must not share it."""
    return Sandbox()


def _grouped(files: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    group: list[tuple[str, bytes]] = []
    size = 0
    for path, data in files:
        group.append((path, data))
        size += len(data)
        if len(group) >= FILES_PER_REQUEST or size >= BYTES_PER_REQUEST:
            yield group
            group, size = [], 0
    if group:
        yield group


def _send(child: subprocess.Popen[bytes], group: list[tuple[str, bytes]]) -> None:
    try:
        assert child.stdin is not None
        write_frame(child.stdin, [(path, len(data)) for path, data in group], [data for _, data in group])
        child.stdin.flush()
    except OSError as error:
        raise death(child) from error


def _told(answer: bytes, most: int) -> list[Outcome]:
    """Return what an answer says of the next files, of one at least and of `most` at most.

    Raises
    ------
    ReadError
        `crash` when it makes no sense: what was read may have harmed the process that says it.
    """
    try:
        outcomes = [Outcome(readings, error) for readings, error in unpack(answer)]
    except (ValueError, TypeError, LookupError, struct.error) as error:
        raise ReadError("crash", f"the reader process says what makes no sense: {error}") from error
    if not 1 <= len(outcomes) <= most:
        raise ReadError("crash", f"the reader process speaks of {len(outcomes)} files, {most} were left")
    return outcomes


def _resident_bytes(process: int) -> int:
    """Return the memory that a process holds; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
