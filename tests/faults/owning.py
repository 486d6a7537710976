"""Two that want one artifacts folder at once, and one that wants it after its owner was killed."""

import subprocess
import sys
from pathlib import Path

_OWNER = Path(__file__).with_name("owner.py")


def wanting(root: Path) -> subprocess.Popen[str]:
    """Return a process that wants to own the folder as soon as it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, str(_OWNER), str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def send(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    """Return 'owner', or 'busy' with the reason."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def double_start(root: Path) -> list[str]:
    """Let two start at once and return their answers, the owner's first."""
    both = [wanting(root), wanting(root)]
    for process in both:
        send(process)
    answers = sorted(map(answer, both), reverse=True)
    for process in both:
        process.kill()
        process.communicate()
    return answers


def start_after_kill(root: Path) -> list[str]:
    """Kill an owner and start another; return what the two answered."""
    answers = []
    for _ in range(2):
        process = wanting(root)
        send(process)
        answers.append(answer(process))
        process.kill()
        process.communicate()
    return answers
