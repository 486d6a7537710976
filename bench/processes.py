"""Runs a command and watches every process that comes of it: who they are, and how much memory each took at most."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_SAMPLE_SECONDS = 0.2
_LEAVE_SECONDS = 30.0  # between asking a command that takes too long to stop, and making it

# The first mark found in a command line says what the process is; without one it is another. The command itself is
# the driver.
ROLES = (
    ("gcs_server", "gcs"),
    ("raylet/raylet", "raylet"),
    ("farm.corpus.sandbox_child", "sandbox"),
    ("ray::", "worker"),
    ("default_worker.py", "worker"),
    ("multiprocessing.spawn", "worker"),
)


@dataclass
class Done:
    """What became of a command; `peaks` is the most memory of any process of a role, bytes of resident set."""

    code: int
    seconds: float
    output: str
    peaks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Process:
    """A process for good: its id may be given to another one later, which starts at another time."""

    id: int
    started: int


class _Watch(threading.Thread):
    """Looks at a process and all that descend from it, now and then; once seen, a process stays watched."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.peaks: dict[str, int] = {}
        self.seen: set[_Process] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self.look()

    def look(self) -> None:
        parents = _parents()
        self.seen = {one for one in self.seen if one in parents}
        ids = {self.root} | {one.id for one in self.seen}
        found = {one for one, parent in parents.items() if one.id in ids or parent in ids}
        while found - self.seen:
            self.seen |= found
            ids = {one.id for one in self.seen}
            found = {one for one, parent in parents.items() if parent in ids}
        for one in self.seen:
            role = "driver" if one.id == self.root else _role(one.id)
            peak = _peak_bytes(one.id)
            if role and peak:
                self.peaks[role] = max(self.peaks.get(role, 0), peak)

    def end(self) -> None:
        self._ended.set()
        self.join()


def run_watched(command: Sequence[str], environment: Mapping[str, str], folder: Path, limit_seconds: float) -> Done:
    """Run a command to its end and return what became of it.

    A command that takes longer than the limit is asked to stop; what is left of it half a minute later is ended,
    process by process.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    watch = _Watch(child.pid)
    watch.start()
    try:
        output = child.communicate(timeout=limit_seconds)[0]
    except BaseException as stop:  # also when a person interrupts the bench
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=_LEAVE_SECONDS)
        watch.end()
        watch.look()
        for process in watch.seen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.id, signal.SIGKILL)
        child.wait()
        if isinstance(stop, subprocess.TimeoutExpired):
            raise SystemExit(f"{' '.join(command)}: not done after {limit_seconds:.0f} seconds") from stop
        raise
    seconds = time.perf_counter() - started
    watch.end()
    return Done(child.returncode, seconds, output, watch.peaks)


def run_farm(arguments: Sequence[str], folder: Path, limit_seconds: float) -> Done:
    """Run a farm command of this source tree in a folder; end the bench with its output where it fails."""
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-P", "-c", "from farm.cli import main; main()", *arguments]
    done = run_watched(command, {**os.environ, "PYTHONPATH": path}, folder, limit_seconds)
    if done.code != 0:
        raise SystemExit(f"farm {' '.join(arguments)} ended with {done.code}:\n{done.output}")
    return done


def _parents() -> dict[_Process, int]:
    """Return the parent's id of every process there is."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                values = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[_Process(int(name), int(values[19]))] = int(values[1])
    return parents


def _role(process: int) -> str:
    """Return what a process is, by its command line; nothing when it has just ended."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
    return next((role for mark, role in ROLES if mark in words), "other") if words else ""


def _peak_bytes(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) * 1024 if line else 0
