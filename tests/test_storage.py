"""The durable writer and the lock: whole or not at all, and one owner."""

import multiprocessing
import os

import pytest

from farm import layout
from farm.errors import BusyError, StorageError
from farm.scheduling import ledger
from farm.storage import Storage


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    storage = Storage(tmp_path)
    storage.write_bytes("a/b.json", b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"b\.json: No space left on device; the disk is full; free some space"):
        storage.write_bytes("a/b.json", b"new")
    assert storage.read_bytes("a/b.json") == b"old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


def test_chunks_that_break_off_leave_the_old_file_and_no_other(tmp_path):
    storage = Storage(tmp_path)
    storage.write_chunks("a/b.i16", iter([b"ol", b"", b"d"]))

    def breaking():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write_chunks("a/b.i16", breaking())
    assert storage.read_bytes("a/b.i16") == b"old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.i16"]


def test_lines_survive_a_torn_one(tmp_path):
    storage = Storage(tmp_path)
    storage.append_json("log.jsonl", {"epoch": 1})
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"epoch": 2, "lo')
    storage.append_json("log.jsonl", {"epoch": 3})
    assert storage.read_lines("log.jsonl") == [{"epoch": 1}, {"epoch": 3}]
    assert storage.read_lines("never.jsonl") == []


def test_numbers_that_json_does_not_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        Storage(tmp_path).write_json("x.json", {"loss": float("nan")})


def test_a_damaged_json_file_is_named(tmp_path):
    storage = Storage(tmp_path)
    storage.write_text("x.json", "{")
    with pytest.raises(StorageError, match=r"x\.json: not valid JSON .* delete it and run again"):
        storage.read_json("x.json")


def test_listing_leaves_out_temporary_files(tmp_path):
    storage = Storage(tmp_path)
    storage.write_text("d/b.txt", "")
    storage.write_text("d/a.txt", "")
    (tmp_path / "d" / ".a.txt.1.tmp").write_text("")
    assert storage.list("d") == ["d/a.txt", "d/b.txt"]
    assert storage.list("nowhere") == []


def _hold(folder, ready, release):
    with ledger.owned(Storage(folder)):
        ready.set()
        release.wait(30)


def test_a_second_owner_is_refused_and_a_dead_one_leaves_no_lock(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, release))
    other.start()
    assert ready.wait(30)
    storage = Storage(tmp_path)
    assert ledger.is_running(storage)
    with (
        pytest.raises(BusyError, match=rf"process {other.pid}.* is already working in this folder"),
        ledger.owned(storage),
    ):
        pass
    other.kill()
    other.join()
    assert not ledger.is_running(storage)
    with ledger.owned(storage):
        assert storage.exists(layout.LOCK)


def test_receipts_and_attempts_are_read_back(tmp_path):
    storage = Storage(tmp_path)
    ledger.note_attempt(storage, "bach", "train", "started", recipe="small")
    ledger.note_attempt(storage, "bach", "train", "failed", recipe="small", message="worker lost")
    ledger.note_attempt(storage, "bach", "train", "started", recipe="small")
    ledger.note_attempt(storage, "bach", "read", "started")
    assert ledger.attempts(storage) == {("bach", "train", "small"): 2, ("bach", "read", ""): 1}
    ledger.write_receipt(storage, "bach", "read", inputs={}, result={}, seconds=1)
    for recipe in ("small", "large"):
        ledger.write_receipt(storage, "bach", "train", recipe, inputs={"seed": "1"}, result={"run": recipe}, seconds=2)
    receipts = ledger.read_receipts(storage, "bach", ("read", "train"), ("train", "judge"))
    assert set(receipts) == {"read", "train/small", "train/large"}
    assert receipts["train/small"] == {"inputs": {"seed": "1"}, "result": {"run": "small"}, "seconds": 2}


def test_progress_is_told_apart_by_recipe_and_forgotten(tmp_path):
    storage = Storage(tmp_path)
    assert ledger.read_progress(storage, "bach") == []
    for recipe in ("", "small"):
        ledger.report_progress(storage, "bach", recipe, stage="train", epoch=3)
    told = ledger.read_progress(storage, "bach")
    assert [(one["recipe"], one["stage"], one["epoch"]) for one in told] == [("", "train", 3), ("small", "train", 3)]
    ledger.forget_progress(storage, "bach")
    assert ledger.read_progress(storage, "bach") == []
