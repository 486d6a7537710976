"""A run that is asked to stop: how soon it does, what it says, and what it leaves running."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.faults.killing import has_begun, kill_session, traced
from tests.faults.small_farm import is_gone, said, session_of, start

LIMIT_SECONDS = 10.0
_REACHED_SECONDS = 200.0
_LINE = "interrupted; what is done is kept: 'farm run corpora.yaml' goes on from there"


def stopped(
    folder: Path, number: int, stage: str, later_seconds: float = 0.0, executor: str = "local"
) -> tuple[float, list[str]]:
    """Run a farm and signal it so long after a stage began; SIGINT goes to all of it, like ^C.

    Returns
    -------
    Seconds until it ended, and what is wrong.
    """
    for trace in folder.glob("trace*"):
        trace.unlink()
    process = start(folder, fault=traced(folder), executor=executor)
    until = time.monotonic() + _REACHED_SECONDS
    while process.poll() is None and time.monotonic() < until and not has_begun(folder, stage, executor):
        time.sleep(0.02)
    time.sleep(later_seconds)
    if process.poll() is not None:
        return 0.0, [f"it ended before {stage}: {said(folder)[-500:]}"]
    began = time.monotonic()
    os.killpg(process.pid, number) if number == signal.SIGINT else os.kill(process.pid, number)
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        code = None
    seconds, problems = time.monotonic() - began, []
    if seconds > LIMIT_SECONDS:
        problems.append(f"it took {seconds:.1f} s")
    if not is_gone(process.pid, 5):
        problems.append(f"{len(session_of(process.pid))} processes are left")
        kill_session(process.pid)
    if code != 128 + number:
        problems.append(f"it ended with {code}")
    if _LINE not in said(folder):
        problems.append(f"it said {said(folder)[-300:]!r}")
    if "Traceback" in said(folder):
        problems.append(f"a trace: {said(folder)[-1500:]}")
    return seconds, problems
