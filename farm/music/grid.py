"""How finely a style's onsets must be told: the coarsest grid that moves hardly a note audibly.

Conventions
-----------
A *grid* is a number of places to the beat, one of `farm.music.encoding.GRIDS`. An onset is *moved audibly* when its
nearest place lies more than `AUDIBLE_SECONDS` away. People notice a single displaced onset in a row from about 6 ms on
where notes are a tenth of a second apart, from 2.5 % of the distance where they are slow (A. Friberg and J. Sundberg,
"Time discrimination in a monotonic, isochronous sequence", JASA 98(5), 1995, who call this the best case).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from farm.music.encoding import GRIDS

AUDIBLE_SECONDS = 0.015
MOST_MOVED_SHARE = 0.01


class GridLoss(NamedTuple):
    """What a grid does to the onsets of a style.

    Attributes
    ----------
    moved_share
        Share of the onsets that are moved audibly.
    mean_seconds
        Mean distance that an onset is moved.
    """

    moved_share: float
    mean_seconds: float


def grid_losses(onsets_beat: Sequence[np.ndarray], tempos_bpm: Sequence[float]) -> dict[int, GridLoss]:
    """Return what each grid loses; of no music nothing is lost.

    Parameters
    ----------
    onsets_beat
        Distinct onsets of each piece in beats: notes that begin together count once.
    tempos_bpm
        Beats a minute of each piece.
    """
    onset = np.concatenate([*onsets_beat, np.zeros(0)])
    beat_seconds = np.repeat(60 / np.asarray(tempos_bpm, float), [len(onsets) for onsets in onsets_beat])
    losses = {}
    for grid in GRIDS:
        moved_seconds = np.abs(onset * grid - np.rint(onset * grid)) / grid * beat_seconds
        share, mean = ((moved_seconds > AUDIBLE_SECONDS).mean(), moved_seconds.mean()) if len(onset) else (0, 0)
        losses[grid] = GridLoss(round(float(share), 4), round(float(mean), 5))
    return losses


def choose_grid(losses: dict[int, GridLoss]) -> int:
    """Return the coarsest grid that moves at most `MOST_MOVED_SHARE` of the onsets audibly, else the finest.

    Examples
    --------
    >>> choose_grid({12: GridLoss(0.06, 0.001), 24: GridLoss(0.002, 0.0003), 48: GridLoss(0.0, 0.0)})
    24
    """
    return next((grid for grid in GRIDS if losses[grid].moved_share <= MOST_MOVED_SHARE), GRIDS[-1])
