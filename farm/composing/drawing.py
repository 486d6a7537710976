"""Drawing classes from a network's answers, and whether rounding could have drawn others; pure.

Conventions
-----------
Classes are laid out along [0, 1) in their own order, each as wide as its chance, and a number falls on one of them:
which of two nearly equal chances is the larger decides nothing. Only the likeliest classes are laid out, until together
they reach the share `top_p` (nucleus sampling: A. Holtzman et al., "The Curious Case of Neural Text Degeneration",
ICLR 2020).

A draw is *sure* when logits that differ by the noise of single precision would have given the same class.
"""

import numpy as np

from farm.errors import FarmError

NOISE = 5e-6
"""How far that noise may move an edge between classes: twice the most that `bench/shipping.py` ever found."""
_GAP = 1e-4  # how far it may move one chance, as a share of itself
_BELOW_ONE = 1 - 2**-52


def draw(logits: np.ndarray, chances: np.ndarray, heat: np.ndarray, top_p: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the class that each piece's number falls on, and whether it is sure; shape (n,) each.

    Parameters
    ----------
    logits
        float64, shape (n, n_classes); -inf for what must not be drawn, in no row everywhere.
    chances, heat
        Uniform random number in [0, 1) and temperature of each piece, shape (n,).

    Raises
    ------
    FarmError
        When the likeliest class of a piece has no finite logit.
    """
    if len(logits) == 1:
        drawn, is_sure = _draw_one(logits[0], float(chances[0]), float(heat[0]), top_p)
        return np.array([drawn]), np.array([is_sure])
    best = logits.max(axis=1, keepdims=True)
    _check(best)
    weights = np.exp(logits / heat[:, None] - best / heat[:, None])
    falling = np.sort(weights, axis=1)[:, ::-1]
    reached = falling.cumsum(axis=1)
    limits = top_p * reached[:, -1]
    rows, last = np.arange(len(logits)), np.add.reduce(reached - falling < limits[:, None], axis=1) - 1
    cut = falling[rows, last]
    weights *= weights >= cut[:, None]
    climbing = weights.cumsum(axis=1)
    targets = chances * climbing[:, -1] * _BELOW_ONE
    drawn = np.add.reduce(climbing <= targets[:, None], axis=1)
    above = climbing[rows, drawn] - targets
    slack = NOISE / heat * reached[:, -1]
    room = np.minimum(above, weights[rows, drawn] - above)
    # what the last class of the choice weighs is how far the choice's end may move an edge
    over = reached[rows, last] - limits
    following = np.where(last + 1 < falling.shape[1], falling[rows, (last + 1) % falling.shape[1]], 0)
    is_settled = (np.minimum(over, cut - over) > slack) & (cut - following > _GAP / heat * cut)
    sure = room > slack + np.where(is_settled, 0, 2 * cut)
    for row in np.flatnonzero(~sure & (room > slack)):
        sure[row] = _draw_one(logits[row], float(chances[row]), float(heat[row]), top_p)[1]
    return drawn, sure


def _draw_one(logits: np.ndarray, chance: float, heat: float, top_p: float) -> tuple[int, bool]:
    """Return what `draw` returns for one piece, bit for bit; numbers are faster than arrays of one number."""
    best = logits.max()
    _check(best)
    weights = logits / heat
    weights -= best / heat
    np.exp(weights, out=weights)
    falling = np.sort(weights)[::-1]
    reached = falling.cumsum()
    total = float(reached[-1])
    limit = top_p * total
    last = int((reached - falling).searchsorted(limit)) - 1
    cut = float(falling[last])
    drawn, room = _fall(weights * (weights >= cut), chance)
    slack = NOISE / heat * total
    if room > slack + 2 * cut:
        return drawn, True
    if room <= slack:
        return drawn, False
    # the choice itself may be another where it ends: the next class may be in, or the last one out
    over, gap = float(reached[last]) - limit, _GAP / heat * cut
    following = float(falling[last + 1]) if last + 1 < len(falling) else 0.0
    may_be_out = cut - over <= slack and last > 0
    if cut - following <= gap or (may_be_out and float(falling[last - 1]) - cut <= gap):
        return drawn, False
    choices = [weights >= following] if over <= slack else []
    choices += [weights > cut] if may_be_out else []
    falls = [_fall(weights * choice, chance) for choice in choices]
    return drawn, all(other == drawn and room > slack for other, room in falls)


def _fall(weights: np.ndarray, chance: float) -> tuple[int, float]:
    """Return the class that a number falls on, and how far it lies from the nearer of its edges."""
    climbing = weights.cumsum()
    target = chance * float(climbing[-1]) * _BELOW_ONE
    drawn = int(climbing.searchsorted(target, "right"))
    above = float(climbing[drawn]) - target
    return drawn, min(above, float(weights[drawn]) - above)


def _check(best: np.ndarray) -> None:
    if not np.isfinite(best).all():
        raise FarmError("compose: what the network answers is not finite; train the model again")
