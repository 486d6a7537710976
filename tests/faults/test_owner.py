"""One owner per artifacts folder, and none left behind. In full: `make faults`."""

import threading

from farm.scheduling import ledger
from farm.storage import Storage
from tests.faults.owning import double_start, start_after_kill


def test_of_two_that_start_at_once_one_owns_and_the_other_says_who_does(tmp_path):
    for _ in range(8):
        owner, busy = double_start(tmp_path)
        assert owner == "owner"
        assert "is already working in this folder; wait for it" in busy


def test_a_killed_owner_leaves_nothing_to_unlock(tmp_path):
    for _ in range(8):
        assert start_after_kill(tmp_path) == ["owner", "owner"]


def test_who_asks_for_the_status_keeps_nobody_from_starting(tmp_path):
    storage, ended = Storage(tmp_path), threading.Event()
    with ledger.owned(storage):
        assert ledger.is_running(storage)

    def ask():
        while not ended.wait(0.001):
            ledger.is_running(storage)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(200):
            with ledger.owned(storage):
                pass
    finally:
        ended.set()
        for thread in asking:
            thread.join()


def test_a_new_owner_takes_away_what_a_killed_one_left(tmp_path):
    storage = Storage(tmp_path)
    storage.write_text("runs/hill/1/metrics.jsonl", "")
    ledger.open_fence(storage, "hill/train/tiny", 1)
    (tmp_path / "runs" / "hill" / "1" / ".epoch.x7.tmp").write_text("half")
    (tmp_path / "mine.tmp").write_text("not the farm's")
    with ledger.owned(storage):
        assert not list((tmp_path / "ledger" / "fences").iterdir())
        assert [path.name for path in (tmp_path / "runs").rglob("*.*")] == ["metrics.jsonl"]
        assert (tmp_path / "mine.tmp").exists()
