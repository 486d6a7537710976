"""From the tables of a style to its events: performances by the clock, the grid of a style, told events from a file."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from small_music import tune, write_midi

from farm import layout
from farm.composing.player import Player, architecture, weight_shapes
from farm.composing.render import Sheet, render
from farm.composing.sampling import compose
from farm.config import Filters, Source
from farm.corpus import tables
from farm.corpus.batching import make_batches
from farm.corpus.clean import clean_style
from farm.corpus.reading_batches import read_batch
from farm.corpus.sources import list_files
from farm.music.encoding import FREE, METRE, N_COLUMNS, NOMINAL_BPM, NOTE, POSITION, STEPS_PER_BEAT, decode, encode
from farm.music.features import Features
from farm.music.grid import GridLoss
from farm.piece import _read_primer
from farm.scheduling.entries import time_grid
from farm.storage import Storage
from farm.training.loading import choose_encoding, load_music, map_events, split_events

STYLE = "played"
HALF_STEP_SECONDS = 60 / NOMINAL_BPM / STEPS_PER_BEAT / 2


def performed(seed, bars=16):
    """A tune at a tempo that walks, its notes put down by hand: nothing keeps to the file's beat."""
    random, notes = np.random.default_rng(seed), tune(seed, bars, velocity=True)
    beats = np.arange(4 * bars + 3)
    clock = np.concatenate([[0], np.cumsum(np.exp(np.cumsum(random.normal(0, 0.05, len(beats)))))[:-1]])
    begin, end = (
        np.interp(each, beats, clock) for each in (notes["onset_beat"], notes["onset_beat"] + notes["duration_beat"])
    )
    notes["onset_beat"] = np.rint((3 + begin + random.uniform(0, 0.12, len(notes))) * 480) / 480
    notes["duration_beat"] = np.maximum(end - begin, 0.1)
    return notes[np.argsort(notes["onset_beat"], kind="stable")]


@dataclass
class Played:
    storage: Storage
    folder: object
    seconds: dict


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Three recordings at a stated tempo of 100, and a piece that keeps to its beat, read as the farm does."""
    root = tmp_path_factory.mktemp("played")
    seconds = {}
    for seed in range(3):
        notes = performed(seed)
        write_midi(root / "music" / f"take-{seed}.mid", notes, tempo_bpm=100)
        seconds[f"take-{seed}.mid"] = notes["onset_beat"] * 0.6
    write_midi(root / "music" / "score.mid", tune(9, 16), tempo_bpm=100)
    storage = Storage(root / "artifacts")
    files = list_files(Source(folder=str(root / "music")), root)
    for batch in make_batches(files):
        read_batch(batch, storage)
    clean_style(STYLE, files, storage, filters=Filters(), heldout_share=0.3, seed=1)
    return Played(storage, root / "music", seconds)


def test_performances_are_told_by_the_clock(played):
    music = load_music(played.storage, STYLE)
    pieces = music.pieces.set_index("path", append=True).reset_index("piece_id")
    assert pieces["time_base"].to_dict() == {**dict.fromkeys(played.seconds, "seconds"), "score.mid": "beats"}
    assert music.usual_tempo_bpm == NOMINAL_BPM
    assert music.encoding.metres[music.usual_metre] == FREE
    assert music.encoding.has_velocity
    encoding = replace(music.encoding, grid=48)
    for path, seconds in played.seconds.items():
        row = pieces.loc[path]
        assert (row["time_signature"], row["tempo_bpm"]) == (FREE, NOMINAL_BPM)
        notes = music.notes[row["piece_id"]]
        np.testing.assert_allclose(notes["onset_beat"], seconds * NOMINAL_BPM / 60, atol=1e-6)
        events = encode(notes, encoding, row["time_signature"])
        assert (events[:, POSITION] == 0).all()
        assert (events[:, METRE] == encoding.metres.index(FREE)).all()
        told = decode(events, encoding)["onset_beat"] * 60 / NOMINAL_BPM
        first = seconds[0] - np.rint(seconds[0] * 2 * 48) / 96
        moved = np.abs(np.sort(told) - (seconds - seconds[0] + first))
        assert moved.max() <= HALF_STEP_SECONDS + 1e-6, "5.2 ms at a grid of 48"
    assert pieces.loc["score.mid", "time_signature"] == "4/4"


def test_a_performance_as_primer_is_told_by_the_clock_too(played):
    encoding = choose_encoding(played.storage, STYLE)[0]
    events, metre = _read_primer(played.folder / "take-0.mid", encoding)
    assert encoding.metres[metre] == FREE
    told = decode(events, encoding)["onset_beat"] / 2
    seconds = played.seconds["take-0.mid"]
    assert np.abs(np.sort(told) - (seconds - seconds[0])).max() <= 0.5 / encoding.grid + 1e-6
    events, metre = _read_primer(played.folder / "score.mid", encoding)
    assert encoding.metres[metre] == "4/4"


@pytest.mark.parametrize("name", ["a.mid", "a.musicxml", "a.wav"])
def test_free_music_can_be_composed_ends_and_renders(played, name):
    music = load_music(played.storage, STYLE)
    sizes, random = architecture(embedding=8, layers=[8], head=8), np.random.default_rng(1)
    shapes = weight_shapes(sizes, music.encoding)
    player = Player(sizes, music.encoding, {n: random.normal(0, 0.5, s).astype(np.float32) for n, s in shapes.items()})
    for asked in ({"notes": 40}, {"bars": 4}):
        [piece] = compose(player, music.encoding, metre=music.usual_metre, seed=2, primer=None, **asked)
        assert (piece.events[:, POSITION] == 0).all()
        notes = decode(piece.events, music.encoding)
        assert "bars" not in asked or (notes["onset_beat"] + notes["duration_beat"]).max() <= 16
        assert len(notes) > 0
        assert render(notes, name, Sheet(tempo_bpm=music.usual_tempo_bpm, time_signature=FREE))


def write_style(storage, rows, notes):
    """Write the tables of a style: `rows` by piece_id, `notes` a note array for each, three pieces to a part."""
    columns = [
        dict.fromkeys(tables.PIECES.names) | {"style": STYLE, "piece_id": piece} | row for piece, row in rows.items()
    ]
    storage.write_bytes(layout.pieces(STYLE), tables.to_bytes(pa.Table.from_pylist(columns, tables.PIECES)))
    pieces = list(notes.items())
    for begin in range(0, len(pieces), 3):
        lines = []
        for piece, array in pieces[begin : begin + 3]:
            for note in array:
                line = dict.fromkeys(tables.NOTES.names, 0) | {"style": STYLE, "piece_id": piece, "is_drum": False}
                line |= {name: note[name].item() for name in NOTE.names}
                lines.append(line | {"onset_second": line["onset_beat"], "duration_second": line["duration_beat"]})
        table = pa.Table.from_pylist(lines, tables.NOTES)
        storage.write_bytes(layout.notes_part(STYLE, f"{begin:04d}"), tables.to_bytes(table))


READ = {"state": "read", "tempo_bpm": 60.0, "time_signature": "4/4", "time_base": "beats", "split": "train"}


@pytest.fixture
def written(tmp_path):
    """Seven tunes: the second is held out, the third a performance, the fourth without bars, the fifth not read."""
    storage = Storage(tmp_path / "artifacts")
    rows = {f"p{number}": dict(READ) for number in range(7)}
    rows["p1"]["split"] = "heldout"
    rows["p2"]["time_base"] = "seconds"
    rows["p3"]["time_signature"] = None
    rows["p4"] |= {"state": "rejected", "split": None}
    write_style(storage, rows, {f"p{n}": tune(n, 3 + n) for n in range(7) if n != 4})
    return storage


def test_the_mapped_events_are_those_in_memory_made_once_and_mapped_again(written, monkeypatch):
    music = load_music(written, STYLE)
    told = map_events(written, STYLE, music.encoding)
    assert set(told) == {"p0", "p1", "p2", "p3", "p5", "p6"}
    for piece, rows in told.items():
        events = encode(music.notes[piece], music.encoding, music.pieces["time_signature"][piece])
        assert (rows == Features(music.encoding).told([events])[0]).all()
        assert not rows.flags.owndata
        assert not rows.flags.writeable
    assert {len(written.list(f"{layout.CACHE}/events", suffix)) for suffix in (".i16", ".json")} == {1}

    with monkeypatch.context() as patch:
        patch.setattr("farm.training.loading.encode", None)  # whoever made it anew would call it
        again = map_events(written, STYLE, music.encoding)
    assert all((again[piece] == rows).all() for piece, rows in told.items())

    map_events(written, STYLE, replace(music.encoding, grid=48))
    files = written.list(f"{layout.CACHE}/events", ".i16")
    assert len(files) == 2, "another encoding is another file"
    written.delete(files[0])
    map_events(written, STYLE, music.encoding)
    map_events(written, STYLE, replace(music.encoding, grid=48))
    assert written.list(f"{layout.CACHE}/events", ".i16") == files, "what is gone is made again"
    part = written.list(layout.notes_folder(STYLE), ".parquet")[0]
    written.write_bytes(f"{layout.notes_folder(STYLE)}/part-other.parquet", written.read_bytes(part))
    written.delete(part)
    map_events(written, STYLE, music.encoding)
    assert len(written.list(f"{layout.CACHE}/events", ".i16")) == 3, "other notes are another file"


def test_splits_come_in_a_fixed_order_and_equal_what_is_loaded(written):
    music = load_music(written, STYLE)
    for told, split in zip(split_events(written, STYLE, music.encoding), ("train", "heldout"), strict=True):
        events = music.events(split)
        assert len(told) == len(events) > 0
        assert all((rows[:, :N_COLUMNS] == wanted).all() for rows, wanted in zip(told, events, strict=True))
    assert music.ids("heldout") == ["p1"]
    assert music.pieces["time_signature"].to_dict()["p3"] == FREE


def test_a_style_gets_the_grid_that_it_needs(tmp_path):
    storage, notes = Storage(tmp_path), tune(1, 8)
    for shift, grid in ((0, 12), (1 / 24, 24), (1 / 48, 48)):
        moved = notes.copy()
        moved["onset_beat"] += shift * (np.arange(len(notes)) % 2)
        write_style(storage, {"p0": dict(READ)}, {"p0": np.sort(moved, order="onset_beat")})
        encoding, losses = choose_encoding(storage, STYLE)
        assert encoding.grid == grid
        assert losses[grid].moved_share == 0
        music = load_music(storage, STYLE)
        assert (music.encoding, music.losses) == (encoding, losses)


def test_an_entry_says_what_the_grid_loses_and_what_coarser_ones_would():
    losses = {12: GridLoss(0.2, 0.003), 24: GridLoss(0.05, 0.001), 48: GridLoss(0.0, 0.0005)}
    coarser = {"12": {"moved_share": 0.2, "mean_seconds": 0.003}}
    told = {"places_per_beat": 24, "moved_share": 0.05, "mean_seconds": 0.001, "coarser": coarser}
    assert time_grid(24, losses) == told
    assert time_grid(12, losses)["coarser"] == {}
    assert list(time_grid(48, losses)["coarser"]) == ["12", "24"]


def test_without_music_the_coarsest_grid_is_enough(tmp_path):
    storage = Storage(tmp_path)
    write_style(storage, {"p0": READ | {"state": "rejected", "split": None}}, {})
    encoding, losses = choose_encoding(storage, STYLE)
    assert (encoding.grid, encoding.has_velocity) == (12, False)
    assert all(loss.moved_share == 0 for loss in losses.values())
    assert map_events(storage, STYLE, encoding) == {}
    assert split_events(storage, STYLE, encoding) == ([], [])
