"""What a style's page says of the music it learned from: right numbers, hostile names, missing and huge tables."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from small_site import HOSTILE, Reader, check_inert, model, page, publish, words, write_pieces

from farm import layout
from farm.config import Filters
from farm.corpus import describing, filters, tables
from farm.corpus.reading import SILENCE
from farm.music.encoding import GRIDS
from farm.music.grid import GridLoss
from farm.scheduling.entries import time_grid
from farm.storage import Storage
from farm.website import counts, reasons
from farm.website.corpus_pictures import pictures, ring_place
from farm.website.counts import count_notes, count_pieces
from farm.website.write import write_site

STYLE = "airs"


def piece(number: int, **changed: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(tables.PIECES.names)
    row |= {"style": STYLE, "source": "folder: airs", "path": f"air-{number}.mid", "piece_id": f"p{number}"}
    row |= {"state": "read", "family": f"p{number}", "format": "midi", "notes": 100, "notes_in_file": 100}
    row |= {"notes_dropped": [], "duration_seconds": 90.0, "duration_beats": 180.0, "tempo_bpm": 120.0}
    return row | {"key": "G major", "time_signature": "3/4", "split": "train"} | changed


def rejected(number: int, reason: str | None, state: str = "rejected", **changed: Any) -> dict[str, Any]:
    row = dict.fromkeys(tables.PIECES.names) | {"style": STYLE, "path": f"air-{number}.mid", "piece_id": f"p{number}"}
    return row | {"state": state, "reason": reason} | changed


def write_notes(storage: Storage, part: str, notes: list[tuple[int, float]], is_drum: bool = False) -> None:
    row = dict.fromkeys(tables.NOTES.names, 0) | {"style": STYLE, "piece_id": "p1", "is_drum": is_drum}
    rows = [row | {"pitch": pitch, "duration_beat": length} for pitch, length in notes]
    storage.write_bytes(layout.notes_part(STYLE, part), tables.to_bytes(pa.Table.from_pylist(rows, tables.NOTES)))


def make_site(storage: Storage) -> str:
    publish(storage, 1, [model(storage, STYLE, "r1")], [])
    write_site(storage)
    return page(storage, f"styles/{STYLE}.html")


def titles(html: str) -> list[str]:
    """Return the titles of a page's pictures that say what they show, in order."""
    labels = [attrs.get("aria-label") or "" for tag, attrs in Reader(html).tags if tag == "svg"]
    return [label.split(":")[0] for label in labels if ":" in label]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "artifacts")
    rows = [piece(number) for number in range(1, 9)]
    rows[0] |= {"key": "e minor", "time_signature": "6/8", "tempo_bpm": 60.0, "duration_seconds": 600.0}
    rows[1] |= {"family": "p1", "format": "midi-repaired", "split": "heldout"}
    rows[2] |= {"notes_dropped": [{"reason": "drums", "count": 40}, {"reason": "zero-length", "count": 2}]}
    rows[3] |= {"notes_dropped": [{"reason": "drums", "count": 10}, {"reason": "gnawed", "count": 1}]}
    rows += [rejected(10, "truncated: a track of 16 bytes has only 3"), rejected(11, "not-music")]
    rows += [
        rejected(12, "moth-eaten: two holes"),
        rejected(13, "over-limit", "skipped"),
        rejected(14, None, "skipped"),
    ]
    rows += [rejected(15, "same-notes", "duplicate", duplicate_of="p3")]
    write_pieces(storage, STYLE, rows)
    write_notes(storage, "aa", [(60, 1.0)] * 60 + [(67, 0.5)] * 20)
    write_notes(storage, "bb", [(72, 0.75)] * 20)
    return storage


def test_the_facts_are_those_of_the_tables(storage: Storage) -> None:
    told = words(make_site(storage))
    assert "Pieces 8 1 held out for judging" in told
    assert "Music 20 min 30 s" in told
    assert "Notes 800" in told
    assert "Families 7" in told
    assert "Repaired 1" in told
    assert "beat grid" not in told, "the table does not say which pieces lie on a grid"


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (0.003, "0.3 % of them move by more than 15 ms."),
        (0.0002, "less than 0.1 % of them move by more than 15 ms."),
        (0.0, "none of them moves by more than 15 ms."),
    ],
)
def test_the_page_says_what_the_grid_loses(storage: Storage, moved: float, said: str) -> None:
    entry = model(storage, STYLE, "r1")
    losses = {grid: GridLoss(moved, 0.001) for grid in GRIDS}
    entry["corpus"] |= {"time_grid": time_grid(24, losses)}
    publish(storage, 1, [entry], [])
    write_site(storage)
    assert f"Onsets are told on a grid of 24 places to the beat; {said}" in words(page(storage, f"styles/{STYLE}.html"))


@pytest.mark.parametrize("told", [None, "", 7, {}, {"places_per_beat": "many"}, {"places_per_beat": 24}])
def test_a_page_without_a_grid_says_nothing_of_it(storage: Storage, told: Any) -> None:
    entry = model(storage, STYLE, "r1")
    entry["corpus"] |= {"time_grid": told}
    publish(storage, 1, [entry], [])
    write_site(storage)
    assert "Onsets are told" not in words(page(storage, f"styles/{STYLE}.html"))


def test_every_picture_is_drawn_and_said_and_has_its_numbers(storage: Storage) -> None:
    html = make_site(storage)
    assert titles(html) == ["Pitch", "Note values", "Keys", "Metres", "Tempo", "Length"]
    told = words(html)
    assert "Half of the notes lie from C4 to G4, all of them from C4 to C5." in told
    assert "Most frequent: 1/4, 60 % of the notes." in told
    assert "dotted notes and triplets, 20 %" in told
    assert "Most frequent: G major, 7 pieces. In major (strong) 7, in minor (pale) 1" in told
    assert "3/4 in 7 of 8 pieces" in told
    assert "At least half of the pieces go at 120 beats a minute." in told
    assert "At least half of the pieces last 1:30 minutes." in told
    for row in ("C4 60 60 %", "between 1/8 and 1/4 20 20 %", "e minor 1 12 %", "6/8 1 12 %", "60 to 80 1 12 %"):
        assert row in told
    assert "8:00 to 16:00 1 12 %" in told


def test_what_was_left_out_stands_with_reason_number_and_meaning(storage: Storage) -> None:
    told = words(make_site(storage))
    assert "6 files of 14 were not read: 1 duplicate, 3 rejected, 2 skipped." in told
    assert f"truncated rejected 1 {reasons.why_file('truncated')}" in told
    assert f"over-limit skipped 1 {reasons.why_file('over-limit')}" in told
    assert "moth-eaten rejected 1" in told
    assert "air-12.mid moth-eaten two holes" in told
    assert "air-15.mid same-notes as air-3.mid" in told
    assert "no reason given skipped 1" in told
    assert "farm status --rejects" in told


def test_dropped_notes_are_itemised(storage: Storage) -> None:
    told = words(make_site(storage))
    assert "53 notes of the pieces read were dropped, 6.2 % of all." in told
    assert f"drums 50 {reasons.why_note('drums')}" in told
    assert "gnawed 1" in told
    assert told.index("drums 50") < told.index("zero-length 2") < told.index("gnawed 1")


def test_the_time_base_is_told_when_the_table_has_it(storage: Storage) -> None:
    schema = tables.PIECES
    if "time_base" not in schema.names:
        schema = schema.append(pa.field("time_base", pa.string()))
    rows = [piece(number, time_base="seconds" if number < 3 else "beats") for number in range(1, 8)]
    write_pieces(storage, STYLE, rows, schema)
    told = words(make_site(storage))
    assert "On a beat grid 5 2 pieces off the stated beat: read in seconds" in told
    assert "2 pieces keep no beat; there the values are rough." in told


def test_a_table_without_the_newer_columns_still_makes_a_page(storage: Storage) -> None:
    rows = [piece(number) for number in range(1, 4)]
    missing = {"family", "format", "notes_dropped", "tempo_bpm"}
    write_pieces(storage, STYLE, rows, pa.schema([field for field in tables.PIECES if field.name not in missing]))
    html = make_site(storage)
    assert "Pieces 3 0 held out" in words(html)
    assert "cannot be read" not in html
    assert "Tempo" not in titles(html)


def test_without_the_notes_the_page_says_so_and_shows_the_pieces(storage: Storage) -> None:
    for key in storage.list(layout.notes_folder(STYLE)):
        storage.delete(key)
    html = make_site(storage)
    assert "The notes are missing or cannot be read" in html
    assert titles(html) == ["Keys", "Metres", "Tempo", "Length"]


def test_a_torn_part_of_the_notes_costs_its_pictures_only(storage: Storage) -> None:
    storage.write_text(layout.notes_part(STYLE, "aa"), "torn")
    html = make_site(storage)
    assert "notes: cannot be read" in words(html)
    assert "Keys" in titles(html)


def test_a_single_piece_makes_sentences_too(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    write_pieces(storage, STYLE, [piece(1)])
    write_notes(storage, "aa", [(21, 4.0)])
    told = words(make_site(storage))
    assert "The only file was read." in told
    assert "The one piece: 120 beats a minute." in told
    assert "Half of the notes lie from A0 to A0" in told


def test_hostile_names_are_inert_and_seen(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    rows = [piece(1, key=f"$\\frac{HOSTILE}", time_signature=f"$x_{{$\n{HOSTILE}")]
    rows[0]["notes_dropped"] = [{"reason": HOSTILE, "count": 3}]
    rows += [rejected(2, f"{HOSTILE}: {HOSTILE}", path=f"a\n{HOSTILE}")]
    rows += [rejected(3, "damaged", path="deep/" * 900 + "end.mid"), rejected(4, f"{'w' * 5000}: {'x' * 90_000}")]
    write_pieces(storage, STYLE, rows)
    html = make_site(storage)
    check_inert(html)
    assert "a⟨U+000A⟩&lt;script&gt;" in html
    assert "⟨U+202E⟩" in html
    assert "deep/deep/" in html
    assert "end.mid" in html
    assert len(html) < 60_000


def test_ten_thousand_rejects_keep_the_page_small(storage: Storage) -> None:
    few = len(make_site(storage))
    rows = [piece(1)] + [rejected(number, f"truncated: {number} bytes") for number in range(2, 10_002)]
    write_pieces(storage, STYLE, rows)
    html = make_site(storage)
    assert "10,000 files of 10,001 were not read: 10,000 rejected." in words(html)
    assert "and 9,995 more truncated" in words(html)
    assert len(html) < few + 2_000


def test_a_thousand_different_reasons_keep_the_page_small(storage: Storage) -> None:
    write_pieces(storage, STYLE, [piece(1)] + [rejected(number, f"word-{number}") for number in range(2, 1_002)])
    html = make_site(storage)
    assert "960 other reasons 960" in words(html)
    assert "word-1000 " in words(html)
    assert "word-999" not in html


def test_the_same_counts_give_the_same_pictures(storage: Storage) -> None:
    corpus = count_pieces(tables.read_pieces(storage, STYLE))
    notes = count_notes(storage, storage.list(layout.notes_folder(STYLE), ".parquet"))
    assert pictures(corpus, notes) == pictures(corpus, notes)
    assert len(pictures(corpus, None)) == 4


def test_a_page_is_made_again_when_its_notes_change_and_only_then(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_site(storage)
    with monkeypatch.context() as patched:
        patched.setattr("farm.website.style_files.with_notes", lambda *_: pytest.fail("the notes were read again"))
        assert write_site(storage)["written"] == []
    write_notes(storage, "cc", [(108, 1.0)])
    assert write_site(storage)["written"] == [f"{layout.SITE}/styles/{STYLE}.html"]
    assert "all of them from C4 to C8" in words(page(storage, f"styles/{STYLE}.html"))


def test_notes_are_counted_by_pitch_and_value_and_drums_are_not(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    lengths = [0.01, 0.125, 0.1875, 1 / 6, 0.25, 0.5, 1 / 3, 0.75, 1.0, 0.95, 1.5, 2.0, 4.0, 16.0]
    odd = [(200, 1.0), (-1, 1.0), (60, float("nan")), (60, 0.0), (60, -1.0), (60, float("inf"))]
    write_notes(storage, "aa", [(60, length) for length in lengths] + odd)
    write_notes(storage, "bb", [(35, 1.0)] * 50, is_drum=True)
    found = count_notes(storage, storage.list(layout.notes_folder(STYLE)))
    assert found.pitches[60] == len(lengths) + 4
    assert sum(found.pitches) == len(lengths) + 4
    # Shorter, 1/32, between, 1/16, between, 1/8, between, 1/4, between, 1/2, between, whole, longer.
    assert found.values == (1, 1, 2, 1, 1, 1, 1, 2 + 2, 1, 1, 0, 1, 1)


def test_a_piece_on_an_edge_counts_in_the_class_above() -> None:
    frame = pa.Table.from_pylist([piece(1, tempo_bpm=40.0), piece(2, tempo_bpm=39.9)], tables.PIECES).to_pandas()
    assert count_pieces(frame).tempos.counts[:2] == (1, 1)
    assert len(count_pieces(frame).lengths.counts) == len(counts.SECONDS_EDGES) + 1


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("C major", 10),
        ("a minor", 11),
        ("F# major", 22),
        ("G- major", 22),
        ("G♭ major", 22),
        ("D- major", 0),
        ("b- minor", 1),
        ("c# minor", 19),
        ("d# minor", 23),
        ("e- minor", 23),
        ("H major", None),
        ("C", None),
        ("", None),
    ],
)
def test_keys_stand_on_the_circle_of_fifths(key: str, place: int | None) -> None:
    assert ring_place(key) == place


def test_every_reason_has_its_sentence() -> None:
    folder = Path(tables.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    raised = set(re.findall(r'ReadError\(\s*"([a-z0-9-]+)"', source)) | set(re.findall(r'\("(too-[a-z-]+)"', source))
    raised |= {"drums-only", "no-piano", "over-limit", "same-bytes", "same-notes"}
    assert {"too-short", "too-many-seconds"} <= raised
    assert [word for word in sorted(raised) if not reasons.why_file(word)] == []
    dropped = set(describing.impossible(SILENCE._asdict(), 0))
    names = ("onset_beat", "duration_beat", "pitch", "program", "is_drum")
    notes = {name: np.zeros(1, bool if name == "is_drum" else np.int64) for name in names}
    for tracks in ("all", "piano", "melody"):
        dropped |= set(filters.unwanted(notes, np.zeros(1, np.int64), Filters(tracks=tracks)))
    assert {"beyond-limit", "other-instrument"} <= dropped
    assert [word for word in sorted(dropped) if not reasons.why_note(word)] == []
