"""From source files to the notes and pieces tables: every file ends in one state, whatever it does to its reader."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_music import tune, write_corpus, write_midi

from farm import layout
from farm.config import Filters, Source
from farm.corpus.batching import make_batches
from farm.corpus.clean import clean_style
from farm.corpus.reading_batches import read_batch, read_rows
from farm.corpus.sandbox import Limits, Sandbox
from farm.corpus.sources import list_files
from farm.corpus.states import check_states
from farm.corpus.tables import NOTES, PIECES, read_notes, read_pieces
from farm.errors import StyleError
from farm.storage import Storage


@pytest.fixture
def music(tmp_path):
    """A folder of 24 tunes, no two alike, in one folder below another."""
    write_corpus(tmp_path / "music", {"bach": 24}, bars=6)
    return tmp_path / "music"


@pytest.fixture(scope="module")
def reader():
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def listed(folder: Path, **keys):
    return list_files(Source(folder=str(folder), **keys), Path())


def read_all(files, storage, reader):
    return [read_batch(batch, storage, reader) for batch in make_batches(files)]


def cleaned(files, storage, reader, style="bach", **keys):
    keys = {"heldout_share": 0.1, "seed": 1, "filters": Filters()} | keys
    for batch in make_batches(files, keys["filters"]):
        read_batch(batch, storage, reader)
    return clean_style(style, files, storage, **keys)


# --- the sandbox


def test_answers_come_in_order_and_failures_stay_with_their_file(music, reader):
    good = next(music.rglob("*.mid")).read_bytes()
    outcomes = list(reader.read([("a", good), ("b", b"no music"), ("c", good), ("d", b"")]))
    assert [outcome.error.reason if outcome.error else None for outcome in outcomes] == [
        None,
        "not-music",
        None,
        "not-music",
    ]
    first, third = (outcomes[number].readings[0].sounds for number in (0, 2))
    assert len(first.pitch) > 20
    assert all(np.array_equal(*columns) for columns in zip(first, third, strict=True))


def slow_midi(notes: int) -> bytes:
    """Return a file that has to be mended, event by event: its program does not exist."""
    track = b"\x00\xc0\xff" + b"\x00\x90\x3c\x40\x01\x80\x3c\x40" * notes + b"\x00\xff\x2f\x00"
    return b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk" + len(track).to_bytes(4, "big") + track


def test_a_file_that_takes_too_long_costs_itself_only(music):
    good = next(music.rglob("*.mid")).read_bytes()
    sandbox = Sandbox(Limits(seconds=0.3))
    try:
        outcomes = list(sandbox.read([("a", good), ("slow", slow_midi(1_000_000)), ("b", good)]))
    finally:
        sandbox.close()
    assert [outcome.error.reason if outcome.error else None for outcome in outcomes] == [None, "timeout", None]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by RLIMIT_AS")
def test_a_file_that_swells_costs_itself_only(music, tmp_path):
    good = next(music.rglob("*.mid")).read_bytes()
    bomb = tmp_path / "bomb.mxl"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", b"<score-partwise>" + b"<a/>" * 3_000_000)
    sandbox = Sandbox(Limits(memory_bytes=100 << 20))
    try:
        outcomes = list(sandbox.read([("bomb", bomb.read_bytes()), ("a", good)]))
    finally:
        sandbox.close()
    assert [outcome.error.reason if outcome.error else None for outcome in outcomes] == ["memory", None]


def test_a_reader_that_dies_costs_one_file(music):
    good = next(music.rglob("*.mid")).read_bytes()
    sandbox = Sandbox()
    stop = threading.Event()

    def kill_every_reader():
        while not stop.wait(0.05):
            child = sandbox._child
            if child is not None and sandbox._is_answering:
                os.kill(child.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_every_reader)
    killer.start()
    try:
        (outcome,) = sandbox.read([("slow", slow_midi(1_900_000))])
        stop.set()
        killer.join()
        (after,) = sandbox.read([("a", good)])
    finally:
        stop.set()
        sandbox.close()
    assert outcome.error is not None
    assert (outcome.error.reason, outcome.error.detail) == ("crash", "the reader process ended with SIGKILL")
    assert after.error is None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the child")
def test_the_reader_ends_with_its_parent():
    code = (
        "import os, signal; from farm.corpus.sandbox import Sandbox; s = Sandbox(); list(s.read([('a', b'')]));"
        "print(s._child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    status = Path(f"/proc/{int(done.stdout)}/stat")
    for _ in range(100):
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the reader outlived its parent")


# --- batches


def test_a_batch_is_what_its_bytes_are(music, tmp_path):
    files = listed(music)
    (batch,) = make_batches(files)
    shutil.copytree(music, tmp_path / "elsewhere")
    shutil.copy(music / "bach" / "tune-00.mid", tmp_path / "elsewhere" / "copy.mid")
    (moved,) = make_batches(listed(tmp_path / "elsewhere"))
    assert moved.key == batch.key
    assert len(moved.files) == len(files) == 24
    assert make_batches([]) == []


def test_one_changed_file_changes_one_batch(music):
    (file, *_) = listed(music)
    many = [
        replace(file, sha256=f"{number * 2654435761 % 2**32:08x}{'0' * 56}", path=f"{number}.mxl", bytes=4000)
        for number in range(900)
    ]
    before = {batch.key for batch in make_batches(many)}
    after = {batch.key for batch in make_batches(many[1:])}
    assert len(before) > 4
    assert len(before - after) == 1


def test_members_of_an_archive_stay_in_its_order_and_one_more_changes_few_batches(music):
    (file, *_) = listed(music)
    many = [
        replace(
            file, sha256=f"{number * 2654435761 % 2**32:08x}{'0' * 56}", location="a.zip", member="x", position=number
        )
        for number in range(5000)
    ]
    before = make_batches(many[::-1])
    assert [one.position for batch in before for one in batch.files] == list(range(5000))
    assert 2 < len(before) < 40
    after = {batch.key for batch in make_batches([*many[:2000], replace(many[0], sha256="1" * 64), *many[2000:]])}
    assert len({batch.key for batch in before} - after) == 1


def test_a_batch_is_read_once_and_ends_in_spite_of_a_bad_file(music, tmp_path, reader):
    (music / "bach" / "bad.mid").write_bytes(b"<html>not found</html>")
    storage = Storage(tmp_path / "artifacts")
    (batch,) = make_batches(listed(music))
    counts = read_batch(batch, storage, reader)
    assert {name: counts[name] for name in ("files", "tunes", "failed", "cached")} == {
        "files": 25,
        "tunes": 24,
        "failed": 1,
        "cached": 0,
    }
    first = storage.read_bytes(layout.reading_notes(batch.key)), storage.read_bytes(layout.reading_pieces(batch.key))
    assert read_batch(batch, storage, reader) == counts | {"cached": 1}
    storage.delete(layout.reading_pieces(batch.key))
    read_batch(batch, storage, reader)
    assert first == (
        storage.read_bytes(layout.reading_notes(batch.key)),
        storage.read_bytes(layout.reading_pieces(batch.key)),
    )


def test_a_failure_that_may_pass_is_tried_again(music, tmp_path, reader):
    storage = Storage(tmp_path / "artifacts")
    files = listed(music)
    (batch,) = make_batches(files)
    path, data = Path(files[0].location), files[0].read()
    path.unlink()
    assert read_batch(batch, storage, reader)["failed"] == 1
    path.write_bytes(data)
    assert read_batch(batch, storage, reader)["failed"] == 0


# --- clean


def test_every_file_ends_in_one_state(music, tmp_path, reader):
    folder = music / "bach"
    notes = tune(7)
    write_midi(folder / "one.mid", notes)
    shutil.copy(folder / "one.mid", folder / "same-bytes.mid")
    moved = notes.copy()
    moved["pitch"] += 3
    write_midi(folder / "same-notes.mid", moved, tempo_bpm=140)
    write_midi(folder / "short.mid", notes[:15])
    (folder / "bad.mid").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("x")
    tunes = "".join(f"X:{number}\nL:1/8\nM:2/4\nK:C\n{text}\n\n" for number, text in ((1, "cdeg|" * 8), (2, "c|")))
    (folder / "book.abc").write_text(tunes)
    (folder / "silence.abc").write_text("X:1\nL:1/8\nM:2/4\nK:C\nz4|z4|\n")
    storage = Storage(tmp_path / "artifacts")
    facts = cleaned(listed(music), storage, reader)
    assert {state: facts[state] for state in ("files", "read", "duplicate", "rejected", "skipped")} == {
        "files": 32,
        "read": 26,
        "duplicate": 2,
        "rejected": 1,
        "skipped": 4,
    }
    assert facts["reasons"] == {"no-notes": 1, "not-music": 2, "same-bytes": 1, "same-notes": 1, "too-short": 2}
    table = read_pieces(storage, "bach").set_index("path")
    assert list(table.reset_index().columns.sort_values()) == sorted(PIECES.names)
    stands = table.loc["bach/one.mid", "piece_id"]
    assert table.loc[["bach/same-bytes.mid", "bach/same-notes.mid"], "duplicate_of"].tolist() == [stands, stands]
    assert table.loc[["bach/book.abc#1", "bach/book.abc#2"], "state"].tolist() == ["read", "skipped"]
    reading = table[table["state"] == "read"]
    assert set(read_notes(storage, "bach")) == set(reading["piece_id"])
    assert sum(map(len, read_notes(storage, "bach").values())) == facts["notes"] == reading["notes"].sum()
    assert table.loc[table["state"] != "read", "split"].isna().all()
    assert reading["split"].value_counts()["heldout"] >= 4


def test_the_tables_do_not_depend_on_where_the_files_lie_or_on_their_order(music, tmp_path, reader):
    one, other = Storage(tmp_path / "one"), Storage(tmp_path / "other")
    facts = cleaned(listed(music), one, reader)
    shutil.move(music, tmp_path / "moved")
    files = listed(tmp_path / "moved")
    moved = cleaned(
        [replace(file, path=f"z-{23 - number:02d}.mid") for number, file in enumerate(files)][::-1], other, reader
    )
    assert moved["digest"] == facts["digest"]
    parts = one.list(layout.notes_folder("bach"))
    assert parts == other.list(layout.notes_folder("bach"))
    assert [one.read_bytes(key) for key in parts] == [other.read_bytes(key) for key in parts]
    again = cleaned(files, other, reader, seed=2)
    assert again["digest"] != facts["digest"]  # another split is other music to train on


def test_parts_of_files_that_are_gone_go_too(music, tmp_path, reader):
    storage = Storage(tmp_path / "artifacts")
    before = cleaned(listed(music), storage, reader)
    (music / "bach" / "tune-03.mid").unlink()
    after = cleaned(listed(music), storage, reader)
    assert storage.list(layout.notes_folder("bach")) == after["outputs"][1:]
    assert (after["read"], len(read_notes(storage, "bach"))) == (23, 23)
    assert after["digest"] != before["digest"]


def test_note_rows_have_the_schema_and_their_order(music, tmp_path, reader):
    import pyarrow.parquet as pq

    storage = Storage(tmp_path / "artifacts")
    facts = cleaned(listed(music), storage, reader)
    table = pq.read_table(storage.address(facts["outputs"][1]))
    assert table.schema.equals(NOTES)
    frame = table.to_pandas()
    ids = frame["piece_id"].to_numpy()
    assert (ids[1:] != ids[:-1]).sum() == frame["piece_id"].nunique() - 1  # a piece's rows stand together
    for _, piece in frame.groupby("piece_id"):
        assert piece[["onset_beat", "pitch"]].apply(tuple, axis=1).is_monotonic_increasing


def test_a_style_of_one_piece_trains_on_it(tmp_path, reader):
    write_corpus(tmp_path / "music", {"balakirev": 1})
    storage = Storage(tmp_path / "artifacts")
    assert cleaned(listed(tmp_path / "music"), storage, reader, "balakirev")["heldout_notes"] == 0
    assert read_pieces(storage, "balakirev")["split"].tolist() == ["train"]


def test_a_style_without_music_fails_and_leaves_the_reasons(tmp_path, reader):
    (tmp_path / "music").mkdir()
    for number in range(3):
        (tmp_path / "music" / f"{number}.mid").write_bytes(b"x" * number)
    storage = Storage(tmp_path / "artifacts")
    with pytest.raises(StyleError, match=r"none of its 3 files could be read \(not-music: 3\)"):
        cleaned(listed(tmp_path / "music"), storage, reader, "noise")
    assert read_pieces(storage, "noise")["state"].tolist() == ["rejected"] * 3


def test_a_file_without_a_state_is_noticed(music):
    files = listed(music)[:2]
    rows = pd.DataFrame({"file": [0, 1], "state": ["read", "skipped"]})
    check_states("bach", files, rows)
    for wrong in (rows[:1], rows.assign(state=["read", "lost"])):
        with pytest.raises(StyleError, match="accounted for"):
            check_states("bach", files, wrong)
    with pytest.raises(StyleError, match="1 of them distinct"):
        check_states("bach", [files[0], files[0]], rows)


def test_rejected_files_keep_their_reason_in_the_cache(music, tmp_path, reader):
    storage = Storage(tmp_path / "artifacts")
    (music / "bach" / "cut.mid").write_bytes((music / "bach" / "tune-00.mid").read_bytes()[:60])
    read_all(listed(music), storage, reader)
    (batch,) = make_batches(listed(music))
    assert [row["failure"].split(":")[0] for row in read_rows(batch.key, storage).to_pylist() if row["failure"]] == [
        "truncated"
    ]


def test_filters_leave_out_what_they_say_and_nothing_by_default(music, tmp_path, reader):
    folder = music / "bach"
    lullaby = tune(50, bars=4)[:17]  # short, slow and quiet
    lullaby["onset_beat"] *= 4
    write_midi(folder / "lullaby.mid", lullaby)
    dense = tune(51, bars=6)
    dense["onset_beat"] /= 40
    dense["duration_beat"] /= 40
    write_midi(folder / "dense.mid", dense)
    rests = tune(52)
    rests["onset_beat"][len(rests) // 2 :] += 60
    write_midi(folder / "rests.mid", rests)
    storage = Storage(tmp_path / "artifacts")
    assert cleaned(listed(music), storage, reader)["read"] == 27
    for filters, path, reason in (
        (Filters(min_notes=18), "lullaby.mid", "too-short: 17 notes, at least 18 are wanted"),
        (Filters(max_seconds=40), "rests.mid", "too-many-seconds: 64.8 seconds, at most 40 are wanted"),
        (Filters(min_seconds=5), "dense.mid", "too-few-seconds: 0.36 seconds, at least 5 are wanted"),
        (Filters(min_notes_per_second=1), "lullaby.mid", "too-sparse"),
        (Filters(max_notes_per_second=30), "dense.mid", "too-dense"),
        (Filters(max_silence_seconds=10), "rests.mid", "too-silent"),
    ):
        facts = cleaned(listed(music), storage, reader, filters=filters)
        assert (facts["read"], facts["skipped"]) == (26, 1), reason
        row = read_pieces(storage, "bach").set_index("path").loc[f"bach/{path}"]
        assert row["state"] == "skipped"
        assert row["reason"].startswith(reason)


def test_the_melody_of_a_style_is_learnt_alone(music, tmp_path, reader):
    storage = Storage(tmp_path / "artifacts")
    whole = cleaned(listed(music), storage, reader)
    melody = cleaned(listed(music), storage, reader, filters=Filters(tracks="melody"))
    table = read_pieces(storage, "bach")
    assert 0 < melody["notes"] < whole["notes"]
    assert melody["digest"] != whole["digest"]
    dropped = sum(drop["count"] for drops in table["notes_dropped"] for drop in drops)
    assert melody["notes"] + dropped == table["notes_in_file"].sum() == whole["notes"]
    assert all(
        (notes["onset_beat"][1:] > notes["onset_beat"][:-1]).all() for notes in read_notes(storage, "bach").values()
    )
    again = cleaned(listed(music), storage, reader)
    assert again["digest"] == whole["digest"]


def test_pieces_tell_their_range_key_metre_and_time_base(music, tmp_path, reader):
    random = np.random.default_rng(3)
    played = tune(60, bars=16)
    played["onset_beat"] = np.sort(
        played["onset_beat"] * 1.237 + random.normal(0, 0.1, len(played)).clip(-0.3, 0.3) + 1
    )
    write_midi(music / "bach" / "played.mid", played)
    storage = Storage(tmp_path / "artifacts")
    facts = cleaned(listed(music), storage, reader)
    table = read_pieces(storage, "bach").set_index("path")
    assert facts["in_seconds"] == 1
    assert table["time_base"].value_counts().to_dict() == {"beats": 24, "seconds": 1}
    assert table.loc["bach/played.mid", ["time_base"]].tolist() == ["seconds"]
    assert (table.drop(index="bach/played.mid")["grid_share"] > 0.99).all()
    row = table.loc["bach/played.mid"]
    assert (row["pitch_low"], row["pitch_high"]) == (played["pitch"].min(), played["pitch"].max())
    assert set(table["time_signature"]) == {"4/4"}
    assert table["key"].str.endswith(("major", "minor")).all()


@pytest.mark.parametrize("answer", [b"\0\0\0\2[1", b"\0\0\0\x09[[[1, 9]]]", b"", b'\0\0\0\2{}\0\0\0\0{"a":'])
def test_an_answer_that_makes_no_sense_costs_its_file_only(music, monkeypatch, answer):
    good = next(music.rglob("*.mid")).read_bytes()
    sandbox = Sandbox()
    try:
        with monkeypatch.context() as patched:
            patched.setattr("farm.corpus.frames.Frames.next", lambda *_: answer)
            (bad,) = sandbox.read([("bad", good)])
        (after,) = sandbox.read([("good", good)])
    finally:
        sandbox.close()
    assert bad.error is not None
    assert bad.error.reason == "crash"
    assert after.error is None
