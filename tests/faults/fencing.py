"""Workers that are lost in their training: killed, on a full disk, or stopped and thought dead, that come to life when
another has done their work."""

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

from farm.scheduling.ledger import attempts
from farm.storage import Storage
from tests.faults.killing import Unkilled, copied, traced, wrong_with
from tests.faults.small_farm import is_gone, kill_session, run, said, session_of, start

_STOPPED_SECONDS = 900.0


def revived(based: Path, folder: Path, unkilled: Unkilled, at: int) -> list[str]:
    """Stop a worker at its `at`-th operation of training, kill its farm, run it again, wake the worker up.

    Returns
    -------
    What is wrong: with the new run, with what the woken worker changed, or that it did not end.
    """
    copied(based, folder)
    fault = traced(folder, stage="train", at=at, do="stop", in_worker=True, orphans=True)
    old = start(folder, fault=fault)
    stopped = _stopped_in(old.pid)
    if not stopped:
        kill_session(old.pid)
        old.wait()
        return [f"no worker stopped; {said(folder)[-500:]}"]
    os.kill(old.pid, signal.SIGKILL)
    old.wait()
    problems = [] if run(folder, fault=traced(folder)) == 0 else [said(folder)[-2000:]]
    problems += wrong_with(folder, unkilled)
    before = _hashes(folder / "artifacts")
    for process in stopped:
        os.kill(process, signal.SIGCONT)
    if not is_gone(old.pid, 60):
        problems.append(f"{len(session_of(old.pid))} old processes are still there")
        for process in session_of(old.pid):
            os.kill(process, signal.SIGKILL)
    after = _hashes(folder / "artifacts")
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return problems + [f"the old worker changed {name}" for name in sorted(changed)]


def lost(based: Path, folder: Path, unkilled: Unkilled, at: int, what: str) -> list[str]:
    """Have a worker die, or fail with an errno, at an operation of its training; the run has to go on by itself."""
    copied(based, folder)
    code = run(folder, fault=traced(folder, stage="train", at=at, do=what, in_worker=True))
    tries = attempts(Storage(folder / "artifacts"))
    again = [name for name in tries if name[1] == "train" and tries[name] == tries_before(based, name) + 2]
    problems = [] if code == 0 else [f"it ended with {code}: {said(folder)[-2000:]}"]
    problems += [] if len(again) == 1 else [f"{len(again)} trainings were tried twice"]
    return problems + wrong_with(folder, unkilled)


def tries_before(based: Path, name: tuple[str, str, str]) -> int:
    return attempts(Storage(based / "artifacts")).get(name, 0)


def _stopped_in(leader: int) -> list[int]:
    """Return the stopped processes of a session, as soon as there is one."""
    until = time.monotonic() + _STOPPED_SECONDS
    while time.monotonic() < until and session_of(leader):
        shown = subprocess.run(["ps", "-eo", "pid=,sid=,stat="], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in shown.splitlines()]
        if found := [int(pid) for pid, session, state in rows if session == str(leader) and state[0] == "T"]:
            return found
        time.sleep(0.05)
    return []


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
