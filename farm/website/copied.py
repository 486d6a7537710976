"""The longest copied passage and its source, found again note for note: what the page lets hear side by side.

Conventions
-----------
The judge told where the passage begins, in the sample and in the corpus; here the one piece is searched for it again,
on the view on which it was found. Beats count from the start of the sample or the piece; a piece that was played off
the beat is told by the clock, as the network heard it. Bars count from 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from farm import layout
from farm.config import STYLE_NAME
from farm.corpus.tables import note_array, read_pieces
from farm.errors import StorageError
from farm.music.encoding import NOTE
from farm.selection import tokens, traces
from farm.selection.exact import View
from farm.selection.near import MOST_ALTERED, NearView
from farm.storage import Storage
from farm.website.evidence import Evidence, Sample, section
from farm.website.pianoroll import Note, bar_beats
from farm.website.text import number, whole

_COLUMNS = ["is_drum", *(NOTE.names or ()), "onset_second", "duration_second"]
_AROUND_BEATS = 2.0  # shown before and after the passage, for its surroundings to be seen


@dataclass(frozen=True)
class Excerpt:
    """Notes around a passage, in beats from the excerpt's begin; `marked` are the indices of those in the passage.

    `bar` is the bar in which the passage begins, `ahead_beats` how far it is to the first bar line, `first_bar` the
    number of the bar that begins there.
    """

    notes: tuple[Note, ...]
    marked: frozenset[int]
    starts_beat: float  # where the passage begins
    bar: int
    bar_beats: float
    ahead_beats: float
    first_bar: int
    bpm: float


@dataclass(frozen=True)
class Copy:
    """The passage in the sample and in its source; `semitones` is how far the sample lies above the source."""

    sample: Excerpt
    source: Excerpt
    semitones: int


def read_copy(storage: Storage, found: Evidence) -> Copy | None:
    """Return the longest copied passage of the pick's samples beside its source; None where either is not at hand."""
    told = section(section(found.model.get("quality")).get("longest_copy"))
    take = next((take for take in found.takes if take.epoch == found.pick), None)
    index, piece = whole(told.get("sample")), str(told.get("piece") or "")
    if take is None or index is None or not 0 <= index < len(take.samples):
        return None
    try:
        source = _read_piece(storage, found.style, piece)
    except (StorageError, OSError, ValueError, KeyError, TypeError):  # a foreign or torn Parquet file
        return None
    if source is None:
        return None
    notes, bpm = source
    sample = _array(take.samples[index])
    places = _places(sample, notes, told)
    if places is None:
        return None
    ours, theirs = places
    semitones = int(sample["pitch"][ours[0]]) - int(notes["pitch"][theirs[0]])
    length = bar_beats(take.metre)
    in_sample = _excerpt(sample, ours, length, 0.0, take.tempo_bpm)
    at = theirs[0]
    length, line = tokens.bar_beats(notes), float(notes["onset_beat"][at] - notes["beat_in_bar"][at])
    in_source = _excerpt(notes, theirs, length, line % length, bpm)
    bar = whole(told.get("bar"))
    if bar is not None:  # pieces change their metre; the judge counted every bar
        moved = bar - in_source.bar
        in_source = replace(in_source, bar=bar, first_bar=in_source.first_bar + moved)
    return Copy(in_sample, in_source, semitones)


def _read_piece(storage: Storage, style: str, piece: str) -> tuple[np.ndarray, float] | None:
    """Return the note array of a piece, and its tempo; what the base heard of another style is `style/piece`."""
    other, _, name = piece.rpartition("/")
    owner = other or style
    if not name or not STYLE_NAME.fullmatch(owner):
        return None
    pieces = read_pieces(storage, owner)
    row = pieces[pieces["piece_id"] == name]
    for key in storage.list(layout.notes_folder(owner), ".parquet") if len(row) else []:
        part = pq.ParquetFile(pa.BufferReader(storage.read_bytes(key)))
        is_its = pc.equal(part.read(columns=["piece_id"])["piece_id"].cast(pa.string()), name)
        if not pc.any(is_its).as_py():
            continue
        table = part.read(columns=_COLUMNS).filter(is_its)
        table = table.filter(pc.invert(table["is_drum"]))
        is_played = "time_base" in row and row["time_base"].iloc[0] == "seconds"
        columns = {column: table[column].to_numpy() for column in _COLUMNS}
        tempo = None if is_played else number(float(row["tempo_bpm"].iloc[0] or "nan"))
        return note_array(columns, np.full(len(table), is_played)), min(max(tempo or 120.0, 20.0), 400.0)
    return None


def _array(sample: Sample) -> np.ndarray:
    """Return a sample as a note array; where its bars begin is not known."""
    return np.array([(*note, 0.0) for note in sample.notes], NOTE)


def _places(sample: np.ndarray, source: np.ndarray, told: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the indices of the passage's notes in both; None when it is not there as it was told."""
    view, start, length = str(told.get("view")), whole(told.get("sample_start")), whole(told.get("notes"))
    if start is None or start < 0 or length is None or length < 2:
        return None
    found = _exact(sample, source, view, start, length) if view in tokens.VIEWS else None
    return found or (_near(sample, source, view, start, length) if view in traces.VIEWS else None)


def _exact(
    sample: np.ndarray, source: np.ndarray, view: str, start: int, length: int
) -> tuple[np.ndarray, np.ndarray] | None:
    query = tokens.tokens(sample, view)[start : start + length - 1]
    corpus = View.build([source], view)
    lengths, ranges = corpus.match(query, None)
    if len(query) < length - 1 or lengths[0] < length - 1:
        return None
    at = int(corpus.suffixes[ranges[0, 0] : ranges[0, 1]].min())
    return tokens.view(sample, view)[start : start + length], tokens.view(source, view)[at : at + length]


def _near(
    sample: np.ndarray, source: np.ndarray, view: str, start: int, length: int
) -> tuple[np.ndarray, np.ndarray] | None:
    ours, theirs = traces.read(sample)[view], traces.read(source)[view]
    corpus = NearView.build([theirs], MOST_ALTERED[view])
    passages = corpus.search(ours)
    rows = np.flatnonzero((passages.begin == start) & (passages.notes == length))
    if len(rows) == 0:
        return None
    at = int(passages.at[rows].min()) - int(corpus.starts[0])
    return ours.notes[start : start + length], theirs.notes[at : at + length]


def _excerpt(notes: np.ndarray, passage: np.ndarray, length: float, line: float, bpm: float) -> Excerpt:
    """Return the notes that begin within two beats of a passage.

    Parameters
    ----------
    length
        Beats of a bar.
    line
        The first bar line, beats from the start; what lies before it is the upbeat.
    """
    ends = notes["onset_beat"] + notes["duration_beat"]
    first, last = float(notes["onset_beat"][passage].min()), float(ends[passage].max())
    begin = max(0.0, float(np.floor(first - _AROUND_BEATS)))
    rows = np.flatnonzero((notes["onset_beat"] >= begin - 1e-6) & (notes["onset_beat"] < last + _AROUND_BEATS))
    inside = set(passage.tolist())
    shown = notes[rows]
    columns = (shown["onset_beat"] - begin, shown["duration_beat"], shown["pitch"], shown["velocity"])
    bar_of = 1 if line < 1e-6 else 2  # the number of the bar that begins at the first line
    lines_before = int(np.ceil((begin - line) / length - 1e-6))
    return Excerpt(
        notes=tuple(zip(*(column.tolist() for column in columns), strict=True)),
        marked=frozenset(place for place, row in enumerate(rows.tolist()) if row in inside),
        starts_beat=first - begin,
        bar=int(np.floor((first - line) / length + 1e-6)) + bar_of,
        bar_beats=length,
        ahead_beats=line + lines_before * length - begin,
        first_bar=lines_before + bar_of,
        bpm=bpm,
    )
