"""What a style is trained on and what it is judged by: whole pieces, or without any held out their beginnings and ends.

Conventions
-----------
Parts are those of `farm.music.batches`.
"""

from collections.abc import Sequence

import numpy as np

from farm.errors import StyleError
from farm.music.batches import Part, blocks, whole

_LEAST_NOTES = 32
_LEAST_BLOCK_NOTES = 20  # of a piece, that its end may be held out, see `farm.music.batches.blocks`


def split_parts(
    style: str, train: Sequence[np.ndarray], heldout: Sequence[np.ndarray]
) -> tuple[list[Part], list[Part], bool]:
    """Return the parts to train on, those held out, and whether these are the ends of the same pieces.

    Parameters
    ----------
    train, heldout
        Told events of whole pieces (`farm.music.features`).

    Raises
    ------
    StyleError
        When there is too little to train on, or nothing to judge by.
    """
    parts, judged = whole(train), whole(heldout)
    is_weak = not judged
    if is_weak:
        parts, judged = blocks(train)
    notes = sum(part.n_notes for part in parts)
    if notes < _LEAST_NOTES:
        raise StyleError(f"{style}: only {notes} notes to train on, at least {_LEAST_NOTES} are needed; add more music")
    if not judged:
        raise StyleError(
            f"{style}: {notes} notes to train on, but none to judge by: no piece is held out, and none has the "
            f"{_LEAST_BLOCK_NOTES} notes that it takes to hold out its end; add longer pieces"
        )
    return parts, judged, is_weak
