"""A network's answers in double precision, for the few draws that rounding in single precision might decide.

Conventions
-----------
A piece is followed only as far as it was asked about; the next time the events written since are caught up with.
"""

from typing import Any

import numpy as np

from farm.composing.draft import Draft
from farm.composing.player import Player


class Exact:
    """The exact twin of a network, for the pieces of one draft."""

    def __init__(self, player: Player, draft: Draft) -> None:
        self._player = player
        self._draft = draft
        self._followed: dict[int, tuple[Any, int]] = {}

    def settle(self, field: str, rows: np.ndarray, logits: np.ndarray, pieces: np.ndarray) -> None:
        """Put exact logits in place of others; a class that is -inf stays so.

        Parameters
        ----------
        rows
            The next event of every piece as far as it is decided, shape (n, 7).
        logits
            float64, shape (n, n_classes); changed where `pieces`, bool, shape (n,), is true.
        """
        network = self._player.exact
        for piece in np.flatnonzero(pieces):
            state, n_fed = self._followed.get(int(piece)) or (network.start(1), 0)
            events = self._draft.events(int(piece), n_fed)
            for row in events:
                state = network.feed(state, row[None])
            self._followed[int(piece)] = state, n_fed + len(events)
            found = network.logits(state, field, rows[piece : piece + 1])[0]
            logits[piece] = np.where(logits[piece] > -np.inf, found, -np.inf)
