"""Decides whether a piece's notes keep to its beats, or whether only its seconds mean anything.

A file's beat is a claim: a performance recorded against the default tempo has beats that no note keeps to, and bars
that mean nothing. What tells the two apart is where in the beat the notes begin. Take a grid of k steps a beat and
each onset's place between two of its lines as an angle: the angles of a score all agree, those of a performance
point everywhere, and the length R of their mean is the share that agrees. A constant offset turns all angles alike
and changes nothing; notes played around the beat shorten R but leave it far above chance, so no tolerance is set.
The best of a few grids counts: sixteenths say nothing on the grid of triplets.

What is left open: notes from a clock of 16 ticks a beat or coarser lie on a grid whatever was played, and a sequence
set at a wrong but regular tempo may keep to a grid of the stated beat by arithmetic (eighths of 180 a minute are
thirds of a beat at 120). Encoding such notes in beats loses nothing, their bars are as wrong as in the file.

Conventions
-----------
Segmented: the notes of all pieces stand one after the other, piece i is `bounds[i]:bounds[i + 1]`. A beat is a quarter
note.

References
----------
Mardia, Jupp (2000), Directional Statistics, 5.3.1: the Rayleigh test, which gives the chance of a mean angle.
"""

import numpy as np

GRIDS = (2, 3, 4, 6, 8, 12, 16)
"""Steps a beat. A grid of beats alone would add nothing (a note on the beat is on every grid), and a performance that
happens to drift slowly about the stated tempo fools it first."""

ON_GRID = 0.2
"""Least share at which the beats count. Files inspected by hand: at most .09 in 57 live performances, at least .31
where the stated beat is kept, if only loosely to a click. Sequences at another tempo lie anywhere."""

CHANCE = 1e-3
"""Share of random pieces that may reach more than 0."""

FEWEST_ONSETS = 12
"""Below this one ornament more or less decides, so the file's own beat stands."""

MOST_BEATS_BETWEEN_ONSETS = 16.0
"""A piece sparser than one onset in four bars has no beat but a clock (one tick a beat, a tick a millisecond)."""


def time_bases(onset_beat: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per piece 'beats' or 'seconds', and the share of its onsets that keep to a grid.

    Parameters
    ----------
    onset_beat
        Onsets in beats, shape (n_notes,), float64, in any order within a piece; ascending ones are read fastest.
    bounds
        First note of each piece and the number of notes, shape (n_pieces + 1,), ascending from 0.

    Returns
    -------
    Array of str, shape (n_pieces,), and the shares of `grid_shares`. A piece too short to tell is in beats.

    Examples
    --------
    >>> bases, shares = time_bases(np.arange(32) / 4, np.array([0, 32, 32]))
    >>> bases.tolist(), shares.tolist()
    (['beats', 'beats'], [1.0, nan])
    """
    shares = grid_shares(onset_beat, bounds)
    return np.where(shares < ON_GRID, "seconds", "beats"), shares


def grid_shares(onset_beat: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the share of each piece's distinct onsets that keep to the best of `GRIDS`, corrected for chance.

    With R² the best grid's and C what one random piece in `1 / CHANCE` reaches, sqrt((R² - C) / (1 - C)): 1 when every
    onset lies on the grid (at any constant offset), s when a share s of many does and the rest lies anywhere,
    0 when no better than chance.

    Returns
    -------
    Shape (n_pieces,), 0 to 1, rounded to four places so that a piece gives the same number in any batch; NaN for a
    piece of fewer than `FEWEST_ONSETS` distinct onsets.
    """
    n_pieces = len(bounds) - 1
    onset, piece = _distinct(onset_beat, bounds)
    counts = np.bincount(piece, minlength=n_pieces)
    shares = np.full(n_pieces, np.nan)
    told = np.flatnonzero(counts >= FEWEST_ONSETS)
    if len(told) == 0:
        return shares
    starts = np.concatenate([[0], np.cumsum(counts)])
    agreement = _best_agreement(onset, starts[:-1][counts > 0])[np.searchsorted(np.flatnonzero(counts), told)]
    # One grid's R² exceeds C by chance with (1 - C) ** (n - 1), the best of all at most that times their number.
    by_chance = 1 - (CHANCE / len(GRIDS)) ** (1 / (counts[told] - 1))
    shares[told] = np.sqrt(np.clip((agreement - by_chance) / (1 - by_chance), 0, 1)).round(4)
    length = onset[starts[told + 1] - 1] - onset[starts[told]]
    shares[told[length > MOST_BEATS_BETWEEN_ONSETS * counts[told]]] = 0.0
    return shares


def _distinct(onset_beat: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct onsets of each piece, ascending, and the piece of each: a chord is one onset."""
    piece = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    is_first = np.ones(len(piece), bool)
    falls = np.diff(onset_beat) < 0
    if (falls & (np.diff(piece) == 0)).any():
        onset_beat = onset_beat[np.lexsort((onset_beat, piece))]
    is_first[1:] = (np.diff(onset_beat) != 0) | (np.diff(piece) != 0)
    return onset_beat[is_first], piece[is_first]


def _best_agreement(onset: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the largest R² of any grid for each run of onsets that begins at one of `starts`."""
    angle = ((onset % 1.0) * (2 * np.pi)).astype(np.float32)
    turns = {1: np.empty(len(onset), np.complex64)}
    turns[1].real, turns[1].imag = np.cos(angle), np.sin(angle)
    counts = np.diff(np.append(starts, len(onset)))
    best = np.zeros(len(starts))
    for grid in GRIDS:
        # A grid's angles are products of coarser grids': far cheaper than a sine and a cosine for each.
        coarser = grid // 2 if grid % 2 == 0 else grid - 1
        turns[grid] = turns[coarser] * turns[grid - coarser]
        mean = np.abs(np.add.reduceat(turns[grid], starts)) / counts
        best = np.maximum(best, np.square(mean, dtype=np.float64))
    return best
