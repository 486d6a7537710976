"""An attempt that was given up writes nothing more. In full, with real trainings: `make faults`."""

import pytest

from farm.errors import FencedError
from farm.scheduling import ledger
from farm.storage import Storage


@pytest.fixture
def two(tmp_path):
    """The storages of an old attempt and of the one that took its place, after the old one wrote a little."""
    owner = Storage(tmp_path)
    old = Storage(tmp_path, ledger.open_fence(owner, "hill/train/tiny", 1))
    old.write_text("runs/a.txt", "old")
    old.append_json("runs/log.jsonl", {"epoch": 1})
    return old, Storage(tmp_path, ledger.open_fence(owner, "hill/train/tiny", 2))


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_old_attempt_changes_nothing(two):
    old, new = two
    new.write_text("runs/a.txt", "new")
    new.append_json("runs/log.jsonl", {"epoch": 2})
    before = files(new.root)
    for writing in (
        lambda: old.write_text("runs/a.txt", "old again"),
        lambda: old.write_text("runs/b/c.txt", "old"),
        lambda: old.append_json("runs/log.jsonl", {"epoch": 9}),
        lambda: old.append_json("runs/other.jsonl", {"epoch": 9}),
        lambda: old.delete("runs/a.txt"),
        lambda: ledger.report_progress(old, "hill", "tiny", stage="train"),
    ):
        with pytest.raises(FencedError, match=r"attempt 1 at hill/train/tiny \(\w+\) was given up"):
            writing()
    assert {name: data for name, data in files(new.root).items() if data} == before
    assert new.read_lines("runs/log.jsonl") == [{"epoch": 1}, {"epoch": 2}]


def test_attempts_at_other_tasks_do_not_hinder_each_other(two):
    _, new = two
    other = Storage(new.root, ledger.open_fence(Storage(new.root), "vale/train/tiny", 1))
    other.write_text("runs/b.txt", "b")
    new.write_text("runs/a.txt", "a")


def test_an_attempt_that_has_ended_and_those_of_an_owner_before_write_no_more(two):
    _, new = two
    ledger.close_fence(Storage(new.root), "hill/train/tiny")
    with pytest.raises(FencedError):
        new.write_text("runs/a.txt", "late")
    other = Storage(new.root, ledger.open_fence(Storage(new.root), "vale/train/tiny", 1))
    with ledger.owned(Storage(new.root)), pytest.raises(FencedError):
        other.write_text("runs/b.txt", "late")


def test_a_file_whose_attempt_is_given_up_while_it_is_written_does_not_stand(two):
    _, new = two

    def chunks():
        yield b"half"
        ledger.open_fence(Storage(new.root), "hill/train/tiny", 3)
        yield b"whole"

    with pytest.raises(FencedError):
        new.write_chunks("runs/a.txt", chunks())
    assert new.read_bytes("runs/a.txt") == b"old"
    assert not list(new.root.rglob("*.tmp"))
