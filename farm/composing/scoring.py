"""How well a network knows given pieces, in numpy: what a precision loses, and how styles differ, without Keras."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from farm.composing.sampling import Network
from farm.music.encoding import BEATS, COLUMN, PREDICTED, Encoding


def bits_per_note(
    player: Network, encoding: Encoding, pieces: Sequence[np.ndarray], fields: Sequence[str] | None = None
) -> float:
    """Return the bits a note that a network gives to pieces it is shown note by note, STOP included where they have it.

    Parameters
    ----------
    pieces
        Event arrays, int16, shape (n_events, 7) each, from START to STOP or to any note before. At least one note in
        all.
    fields
        What is counted of a note; None for all that the network predicts.
    """
    ordered = sorted(pieces, key=len, reverse=True)
    lengths = np.array([len(piece) - 1 for piece in ordered])
    padded = np.zeros((len(ordered), lengths.max() + 1, ordered[0].shape[1]), np.int16)
    for number, piece in enumerate(ordered):
        padded[number, : len(piece)] = piece
        padded[number, len(piece) :] = piece[-1]
    state: Any = player.start(len(ordered))
    nats, n_notes = 0.0, 0
    for step in range(int(lengths.max())):
        active = np.arange(len(ordered)) < np.searchsorted(-lengths, -step, side="left")
        state = player.feed(state, padded[:, step])
        following = padded[:, step + 1]
        sounding = active & (following[:, BEATS] < encoding.stop)
        n_notes += int(sounding.sum())
        for name in fields or encoding.fields:
            counted = active if name == PREDICTED[0] else sounding
            if counted.any():
                nats += _surprise(player.logits(state, name, following), following[:, COLUMN[name]], counted)
    return nats / float(np.log(2)) / n_notes


def _surprise(logits: np.ndarray, target: np.ndarray, counted: np.ndarray) -> float:
    """Return the sum of -log p of the targets over the counted rows, nats."""
    rows = logits[counted].astype(np.float64)
    highest = rows.max(axis=1, keepdims=True)
    total = np.log(np.exp(rows - highest).sum(axis=1)) + highest[:, 0]
    return float((total - rows[np.arange(len(rows)), target[counted]]).sum())
