"""From the tables of a style to what training, judging and composing take: note arrays and events by split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from farm.corpus.tables import read_notes, read_pieces
from farm.music.encoding import NOTE, VELOCITY_BAND, Encoding, encode
from farm.storage import Storage

_LEAST_VELOCITY_BANDS = 3  # fewer are a program's defaults, not a player's touch


@dataclass(frozen=True)
class Music:
    """One style's music that was read.

    Attributes
    ----------
    pieces
        The rows of the pieces table in state `read`, indexed by piece_id.
    notes
        Note array by piece_id.
    encoding
        With velocity only where the corpus has any.
    """

    pieces: pd.DataFrame
    notes: dict[str, np.ndarray]
    encoding: Encoding

    def ids(self, split: str) -> list[str]:
        """Return the pieces of 'train' or 'heldout', in a fixed order."""
        return sorted(self.pieces.index[self.pieces["split"] == split])

    def note_arrays(self, split: str) -> dict[str, np.ndarray]:
        return {piece: self.notes[piece] for piece in self.ids(split)}

    def events(self, split: str) -> list[np.ndarray]:
        """Return the event arrays of a split, in the order of `ids`."""
        metres = self.pieces["time_signature"]
        return [encode(self.notes[piece], self.encoding, metres[piece]) for piece in self.ids(split)]

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
        return float(self.pieces["tempo_bpm"].median())


def load_music(storage: Storage, style: str) -> Music:
    """Return the music of a style that was read; StorageError when it was not."""
    table = read_pieces(storage, style)
    pieces = table[table["state"] == "read"].set_index("piece_id")
    notes = read_notes(storage, style)
    velocities = [np.unique(piece["velocity"] // VELOCITY_BAND) for piece in notes.values()]
    has_velocity = len(set().union(*(bands.tolist() for bands in velocities))) >= _LEAST_VELOCITY_BANDS
    kept = {piece: notes.get(piece, np.zeros(0, NOTE)) for piece in pieces.index}
    return Music(pieces, kept, Encoding(has_velocity=has_velocity))
