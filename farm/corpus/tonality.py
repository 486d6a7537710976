"""The key of a piece: that of the 24 keys whose profile goes best with how long each pitch class sounds.

One key per piece, the one that most of it is in: a piece that modulates for long gets the key it stays in, and a
modal tune the major or minor key that shares its tonic or, where the tonic is not heard much, its scale.

Conventions
-----------
Segmented: the notes of all pieces stand one after the other, piece i is `bounds[i]:bounds[i + 1]`. Major keys are
written large ('G major'), minor keys small ('e minor'), flats as '-'; of two spellings the usual one, as pitch numbers
do not tell.

References
----------
Krumhansl (1990), Cognitive Foundations of Musical Pitch, chapter 4: the correlation with a profile per key.
Albrecht, Shanahan (2013), The Use of Large Corpora to Train a New Type of Key-Finding Algorithm, Music Perception
31(1): the profiles, the share of each pitch class in the openings and endings of many pieces, from the tonic up.
"""

import numpy as np

ALBRECHT_SHANAHAN = np.array(
    [
        [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081],
        [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052],
    ]
)
"""Major and minor. Of the published pairs it agrees best with the keys that music states; `bench/keys.py` measures."""

KEYS = tuple(
    [f"{tonic} major" for tonic in ("C", "D-", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B")]
    + [f"{tonic} minor" for tonic in ("c", "c#", "d", "e-", "e", "f", "f#", "g", "g#", "a", "b-", "b")]
)
"""All keys: major from C upwards, then minor from c."""


def keys(
    pitch: np.ndarray, weight: np.ndarray, bounds: np.ndarray, profiles: np.ndarray = ALBRECHT_SHANAHAN
) -> list[str | None]:
    """Return the key of each piece.

    Parameters
    ----------
    pitch
        MIDI numbers, shape (n_notes,), in any order within a piece.
    weight
        How much each note counts, at least 0, shape (n_notes,): how long it sounds, in beats.
    bounds
        First note of each piece and the number of notes, shape (n_pieces + 1,), ascending from 0.
    profiles
        Weight of each pitch class from the tonic up, in major and in minor, shape (2, 12).

    Returns
    -------
    n_pieces names of `KEYS`. None without notes, without weight, or when all pitch classes weigh the same.
    Of keys that go equally well the first in `KEYS`.

    Examples
    --------
    >>> keys(np.array([60, 64, 67, 69, 60, 64]), np.ones(6), np.array([0, 3, 6, 6]))
    ['C major', 'a minor', None]
    """
    n_pieces = len(bounds) - 1
    piece = np.repeat(np.arange(n_pieces), np.diff(bounds))
    cell = piece * 12 + np.asarray(pitch, np.int64) % 12
    sounding = np.bincount(cell, weights=weight, minlength=12 * n_pieces).reshape(n_pieces, 12)
    # As a share of all, so that rounding means the same for a song and an opera; rounded, so that neither the order of
    # the notes nor the pieces beside this one decide between keys that go equally well.
    deviation = sounding / np.maximum(sounding.sum(1, keepdims=True), np.finfo(float).tiny) - 1 / 12
    fit = (deviation @ _rotated(profiles).T).round(9)
    has_key = sounding.any(axis=1) & (np.ptp(deviation, axis=1) > 1e-9)
    return [KEYS[best] if told else None for best, told in zip(fit.argmax(1), has_key, strict=True)]


def _rotated(profiles: np.ndarray) -> np.ndarray:
    """Return the profile of each of `KEYS`, of mean 0 and deviation 1, shape (24, 12): its product is a correlation."""
    turned = np.array([np.roll(profile, tonic) for profile in profiles for tonic in range(12)])
    return (turned - turned.mean(1, keepdims=True)) / turned.std(1, keepdims=True)
