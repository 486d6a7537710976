"""From the tables of a style to what training, judging and composing take: note arrays and events by split.

Conventions
-----------
A *performance* is a piece whose notes do not keep to its beat (`time_base` seconds): its notes are told in beats of
the clock and it has no bars, see `farm.music.encoding`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from farm import layout
from farm.config import digest
from farm.corpus.tables import note_parts, read_pieces
from farm.music.batches import blocks
from farm.music.encoding import FREE, N_COLUMNS, NOMINAL_BPM, NOTE, VELOCITY_BAND, Encoding, encode
from farm.music.features import N_TOLD, Features
from farm.music.grid import GridLoss, choose_grid, grid_losses
from farm.storage import Storage

_TOLD_VERSION = 1  # raised by hand when the same notes are told otherwise
_LEAST_VELOCITY_BANDS = 3  # fewer are a program's defaults, not a player's touch


@dataclass(frozen=True)
class Music:
    """One style's music that was read.

    Attributes
    ----------
    pieces
        The rows of the pieces table in state `read`, indexed by piece_id; tempo and time signature as told.
    notes
        Note array by piece_id.
    encoding
        With velocity only where the corpus has any, on the grid it needs.
    losses
        What each grid would lose of the onsets.
    """

    pieces: pd.DataFrame
    notes: dict[str, np.ndarray]
    encoding: Encoding
    losses: dict[int, GridLoss]

    def ids(self, split: str) -> list[str]:
        """Return the pieces of 'train' or 'heldout', in a fixed order."""
        return sorted(self.pieces.index[self.pieces["split"] == split])

    def note_arrays(self, split: str) -> dict[str, np.ndarray]:
        return {piece: self.notes[piece] for piece in self.ids(split)}

    def events(self, split: str) -> list[np.ndarray]:
        """Return the event arrays of a split, in the order of `ids`."""
        return [self.events_of(piece) for piece in self.ids(split)]

    def events_of(self, piece: str) -> np.ndarray:
        return encode(self.notes[piece], self.encoding, self.pieces["time_signature"][piece])

    def learnt_and_asked(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the events that an n-gram learns, and people's that it is asked about: those a network is judged on.

        Without pieces to hold out these are the last bars of each piece, behind a START row.
        """
        learnt, asked = self.events("train"), self.events("heldout")
        if asked:
            return learnt, asked
        begun, ends = blocks(Features(self.encoding).told(learnt))
        learnt = [part.told[: part.end, :N_COLUMNS] for part in begun]
        return learnt, [np.concatenate([part.told[:1], part.told[part.first :]])[:, :N_COLUMNS] for part in ends]

    def families(self) -> dict[str, list[str]]:
        """Return for each piece all pieces of its family, itself included."""
        by_family = self.pieces.groupby("family").groups
        return {str(piece): list(by_family[family]) for piece, family in self.pieces["family"].items()}

    @property
    def usual_metre(self) -> int:
        """The metre class of most pieces."""
        return self.encoding.metre_class(self.pieces["time_signature"].mode().iloc[0])

    @property
    def usual_tempo_bpm(self) -> float:
        """The median tempo of the pieces in that metre."""
        usual = self.pieces["time_signature"] == self.pieces["time_signature"].mode().iloc[0]
        return float(self.pieces["tempo_bpm"][usual].median())


def load_music(storage: Storage, style: str, given: Encoding | None = None) -> Music:
    """Return the music of a style that was read; StorageError when it was not.

    Parameters
    ----------
    given
        See `choose_encoding`.
    """
    pieces = read_told_pieces(storage, style)
    notes = {piece: np.zeros(0, NOTE) for piece in pieces.index}
    for part in note_parts(storage, style, _performed(pieces)):
        notes |= part
    return Music(pieces, notes, *_fitting(pieces, [notes], given))


def read_told_pieces(storage: Storage, style: str) -> pd.DataFrame:
    """Return the rows in state `read`, by piece_id, with tempo and time signature as the events tell them."""
    table = read_pieces(storage, style)
    pieces = table[table["state"] == "read"].set_index("piece_id")
    clock = pieces["time_base"] == "seconds"
    pieces["tempo_bpm"] = pieces["tempo_bpm"].where(~clock, NOMINAL_BPM)
    pieces["time_signature"] = pieces["time_signature"].where(pieces["time_signature"].notna() & ~clock, FREE)
    return pieces


def choose_encoding(
    storage: Storage, style: str, given: Encoding | None = None
) -> tuple[Encoding, dict[int, GridLoss]]:
    """Return the encoding that fits a style, and what every grid would lose.

    Parameters
    ----------
    given
        The encoding of the network that hears the style: only the grid is the style's own then.
    """
    pieces = read_told_pieces(storage, style)
    return _fitting(pieces, note_parts(storage, style, _performed(pieces)), given)


def encoding_of(styles: Iterable[Music]) -> Encoding:
    """Return the encoding of a network that hears several styles: with velocity where any of them has it."""
    return Encoding(has_velocity=any(music.encoding.has_velocity for music in styles))


def map_events(storage: Storage, style: str, encoding: Encoding) -> dict[str, np.ndarray]:
    """Return the told events of every piece of a style, mapped from a file that is made when it is not there yet.

    Returns
    -------
    By piece_id, int16, shape (n_events, N_TOLD) each; read-only.
    """
    parts = storage.list(layout.notes_folder(style), ".parquet")  # their names hold the hash of what is in them
    about = hashlib.sha256(storage.read_bytes(layout.pieces(style))).hexdigest()
    key = digest([parts, about, encoding.to_json(), _TOLD_VERSION])[:16]
    data, bounds = layout.told_events(style, key), layout.told_bounds(style, key)
    if not (storage.exists(bounds) and storage.exists(data)):
        made: dict[str, list[int]] = {}
        storage.write_chunks(data, _told_parts(storage, style, encoding, made))
        storage.write_text(bounds, json.dumps(made))
    places = storage.read_json(bounds)
    if not places:
        return {}  # an empty file cannot be mapped
    rows: Any = np.memmap(storage.path(data), np.int16, "r").reshape(-1, N_TOLD)
    return {piece: rows[start:end] for piece, (start, end) in places.items()}


def split_events(storage: Storage, style: str, encoding: Encoding) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the told events of the training and of the held-out pieces, as `map_events` does, in a fixed order."""
    told, splits = map_events(storage, style, encoding), read_told_pieces(storage, style)["split"]
    train, heldout = ([told[piece] for piece in sorted(told) if splits[piece] == name] for name in ("train", "heldout"))
    return train, heldout


def _fitting(
    pieces: pd.DataFrame, parts: Iterable[dict[str, np.ndarray]], given: Encoding | None
) -> tuple[Encoding, dict[int, GridLoss]]:
    tempo_of = pieces["tempo_bpm"].to_dict()
    onsets, tempos, bands = [], [], set[int]()
    for part in parts:
        onsets += [np.unique(notes["onset_beat"]) for notes in part.values()]
        tempos += [tempo_of[piece] for piece in part]
        bands |= set().union(*(np.unique(notes["velocity"] // VELOCITY_BAND).tolist() for notes in part.values()))
    losses = grid_losses(onsets, tempos)
    own = given or Encoding(has_velocity=len(bands) >= _LEAST_VELOCITY_BANDS)
    return replace(own, grid=choose_grid(losses)), losses


def _told_parts(storage: Storage, style: str, encoding: Encoding, places: dict[str, list[int]]) -> Iterator[bytes]:
    """Yield the told events of a style part by part, and fill in where each piece lies."""
    pieces, features, at = read_told_pieces(storage, style), Features(encoding), 0
    metre_of = pieces["time_signature"].to_dict()
    for part in note_parts(storage, style, _performed(pieces)):
        events = [encode(notes, encoding, metre_of[piece]) for piece, notes in part.items()]
        for piece, rows in zip(part, events, strict=True):
            places[piece] = [at, at + len(rows)]
            at += len(rows)
        yield np.concatenate([*features.told(events), np.zeros((0, N_TOLD), np.int16)]).tobytes()


def _performed(pieces: pd.DataFrame) -> set[str]:
    return set(pieces.index[pieces["time_base"] == "seconds"])
