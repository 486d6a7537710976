"""The review as a process: where it listens, what it says, how it ends, and what a kill leaves."""

import contextlib
import re
import signal
import socket
import subprocess
import sys

import pytest

from farm import layout
from farm.scheduling import ledger
from farm.scheduling.publishing import current_catalog
from farm.storage import Storage
from tests.finished_farm import copied_farm
from tests.served import START, Served, approve_under_kills, served


def listeners(pid):
    """Return the addresses that a process listens on, from the kernel's table."""
    found = subprocess.run(["ls", "-l", f"/proc/{pid}/fd"], capture_output=True, text=True, check=False).stdout
    inodes = set(re.findall(r"socket:\[(\d+)\]", found))
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            rows += [line.split() for line in lines]
    return {row[1].split(":")[0] for row in rows if len(row) > 9 and row[3] == "0A" and row[9] in inodes}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_what_to_do(tmp_path, number, code):
    one = Served(tmp_path / "nothing")
    assert listeners(one.process.pid) == {"0100007F"}, "127.0.0.1 and no other"
    ended, errors = one.end(number)
    assert ended == code
    assert errors == "the review has ended; what was decided is kept: 'farm review' goes on from there\n"


def test_a_port_in_use_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-c", START, "review", "--artifacts", str(tmp_path), "--no-browser", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == (
        f"--port: {port} is in use, perhaps by another 'farm review'; give another one, or none for any that is free\n"
    )
    assert done.stdout == ""


def test_without_a_farm_the_page_says_how_to_begin(tmp_path):
    with served(tmp_path / "nothing") as one:
        page = one.get("/site/index.html")[2].decode()
        assert "farm run corpora.yaml" in page
        assert "/review/static/review.js" in page
        assert one.get("/site/static/style.css")[0] == 200
        assert one.get("/review/style?name=hill")[0] == 200
        assert not (tmp_path / "nothing").exists(), "looking makes nothing"


def test_a_report_that_is_gone_is_written_again_but_not_while_a_farm_runs(tmp_path):
    storage = copied_farm(tmp_path)
    for key in storage.walk(layout.SITE):
        storage.delete(key)
    with ledger.owned(storage), served(storage.root) as one:
        assert one.get("/site/index.html")[0] == 200
        assert not storage.exists("site/index.html")
    with served(storage.root) as one:
        assert b"Songs of the hill" in one.get("/site/index.html")[2]


def test_no_acknowledged_decision_is_lost_by_kills(tmp_path):
    storage = copied_farm(tmp_path)
    seen = current_catalog(storage)["models"][0]["files"][0]["sha256"]
    acknowledged, n_kills = approve_under_kills(storage.root, "hill", 6, 3, seen)
    assert n_kills == 2
    assert len(acknowledged) >= 4
    kept = [line["why"] for line in storage.read_lines(layout.DECISIONS)]
    assert set(acknowledged) <= set(kept)
    with served(storage.root) as one:  # the next decision tells those that a kill kept from the catalog
        wish = {"style": "hill", "status": "approved", "why": "after all", "seen": seen}
        assert one.post("/review/decide", wish)[0] == 200
    told = [one["why"] for one in current_catalog(Storage(storage.root))["models"][0]["decisions"]]
    assert told == [line["why"] for line in storage.read_lines(layout.DECISIONS)]
