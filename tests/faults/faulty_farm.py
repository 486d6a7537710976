"""The command line of the farm with one fault in it, as the environment says; its child processes have it too.

FARM_FAULT holds JSON: `trace`, a file that every operation adds a line to; `stage` and `at`, which operation it is (any
stage: `any`; with `in_worker` only those of workers count); and `do`: `kill` the whole process group there, `die` or
`stop` alone, the name of an errno that it fails with, or `touch` and the `file` that grows by a byte. With `for_good`
every operation after it does the same. `state_share` is how much of its time a training may take to keep its state.
With `orphans` workers do not die with the run, as on another machine.
"""

import errno
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from farm.scheduling import workers  # the path comes first
from farm.stores import folder as store
from farm.training import record

FAULT = json.loads(os.environ.get("FARM_FAULT") or "{}")
_WIDTH = 160  # bytes a line of the trace, so that its length tells the number of lines


def strike(operation: str, path: Path) -> None:
    """Note an operation, and do what was asked where it is the one."""
    from tests.faults.small_farm import stage_of

    stage = stage_of(str(path))
    number = count(Path(FAULT["trace"]), f"{time.monotonic():.3f} {stage} {operation} {path.name}")
    if FAULT.get("in_worker") and multiprocessing.parent_process() is None:
        return
    if FAULT.get("stage") in (stage, "any"):
        if FAULT["stage"] != "any":
            number = count(Path(f"{FAULT['trace']}.{stage}"), operation)
        if number == FAULT["at"] or (number > FAULT["at"] and FAULT.get("for_good")):
            _do(FAULT["do"], path)


def count(file: Path, line: str) -> int:
    """Add a line to a file of all processes, and return its number from 1."""
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line[: _WIDTH - 1].ljust(_WIDTH - 1).encode()[: _WIDTH - 1] + b"\n")
        return os.lseek(handle, 0, os.SEEK_CUR) // _WIDTH
    finally:
        os.close(handle)


def _do(what: str, path: Path) -> None:
    if what == "kill":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    elif what == "touch":
        with open(FAULT["file"], "ab") as file:
            file.write(b"\0")
    elif what in ("die", "stop"):
        os.kill(os.getpid(), signal.SIGKILL if what == "die" else signal.SIGSTOP)
    else:
        number = getattr(errno, what)
        raise OSError(number, os.strerror(number), str(path))


if FAULT.get("trace"):
    store.hook = strike
if "state_share" in FAULT:
    record._STATE_SHARE = FAULT["state_share"]
if FAULT.get("orphans"):
    workers._PR_SET_PDEATHSIG = 3  # asks something and changes nothing

if __name__ == "__main__":
    from farm.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell is born deaf to it
    main()
