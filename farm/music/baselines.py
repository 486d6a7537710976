"""N-gram models: the line every network must beat.

An n-gram predicts the fields of the next note one after the other (beats, step, pitch, duration, velocity), each from
the fields before it in the same note and from the notes before. It costs seconds, has no training curve and
cannot go wrong, so a network that does not beat it on held-out music has learnt nothing worth shipping.

Conventions
-----------
*Order* is the number of notes before the predicted one that a model may look at. *Bits per note* are those of
the networks: the sum of -log2 p over all predicted fields and the STOP of each piece, divided by the number
of notes. Pitch is predicted as the interval from the note before and remembered as intervals too: every
transposition of the training music then counts as the same context, without reading it twelve times. Only the
shortest context, the register, knows pitches; it is spread over the transpositions that the recipe trains on.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from farm.music.encoding import BEATS, COLUMN, PITCH, POSITION, STEP, Encoding

MAX_ORDER = 6

ESCAPE_WEIGHT = 4.0
"""How many times the share of Witten and Bell goes to the shorter context.

With 1 (their formula) six orders of context spoil each other: held-out Bach chorales cost 4.9 bits a note,
with 4 they cost 4.5; folk, hymns, Chopin, Schubert and Scarlatti gain 0.3 to 0.7 as well.
"""

_OUTSIDE = -1_000
"""What a context holds where the music has not begun yet; no class, pitch or interval."""


class Baseline(TypedDict):
    """What `evaluate` returns; bits are None without held-out notes."""

    bits_per_note: float | None
    order: int | None
    by_order: dict[str, float]


def evaluate(
    train: Sequence[np.ndarray], heldout: Sequence[np.ndarray], encoding: Encoding, *, down: int, up: int
) -> Baseline:
    """Train n-gram models of order 1 to 6 and return what held-out notes cost under the best one.

    Interpolated Witten-Bell smoothing: I. Witten and T. Bell, "The zero-frequency problem", IEEE Transactions
    on Information Theory 37(4), 1991, with `ESCAPE_WEIGHT`.

    Parameters
    ----------
    train, heldout
        Event arrays as `encoding.encode` makes them, int16, shape (n_notes + 2, 7) each. No training pieces give
        the uniform distribution.
    down, up
        Semitones by which the recipe transposes training pieces, both >= 0.

    Returns
    -------
    `bits_per_note` of the best order, that `order`, and the bits of every order in `by_order` ('1' to '6'). Order
    k lets each field look back at most k notes, and no further than serves it: that choice sees the held-out
    notes, which can only make the line harder to beat. Without a held-out note there is nothing to measure: None,
    None and no orders.
    """
    by_piece, n_notes = _piece_bits(train, heldout, encoding, down, up)
    if n_notes.sum() == 0:
        return {"bits_per_note": None, "order": None, "by_order": {}}
    bits = by_piece.sum(axis=1) / n_notes.sum()
    best = int(bits.argmin())
    by_order = {str(order): float(value) for order, value in enumerate(bits, start=1)}
    return {"bits_per_note": float(bits[best]), "order": best + 1, "by_order": by_order}


def bits_of_each(
    train: Sequence[np.ndarray], asked: Sequence[np.ndarray], encoding: Encoding, *, down: int, up: int
) -> np.ndarray:
    """Return what a note of each asked piece costs under the order that is best for all of them.

    Parameters are those of `evaluate`; pieces may be parts, such as a START row and notes without a STOP.

    Returns
    -------
    Bits a note, shape (n_asked,); NaN for a piece without notes.
    """
    by_piece, n_notes = _piece_bits(train, asked, encoding, down, up)
    best = by_piece[int(by_piece.sum(axis=1).argmin())]
    return np.where(n_notes > 0, best / np.maximum(n_notes, 1), np.nan)


def _piece_bits(
    train: Sequence[np.ndarray], asked: Sequence[np.ndarray], encoding: Encoding, down: int, up: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bits of each asked piece under each order, shape (MAX_ORDER, n_asked), and its number of notes.

    Up to an order each field looks back as far as is best for all pieces together.
    """
    learnt, columns = _columns(train, encoding), _columns(asked, encoding)
    owner = np.repeat(np.arange(len(asked)), [len(piece) - 1 for piece in asked])
    is_note = columns["beats0"] != encoding.stop
    total = np.zeros((MAX_ORDER, len(asked)))
    for field in encoding.fields:
        rows = _field_bits(
            field, _predicted(learnt, field, encoding), _predicted(columns, field, encoding), encoding, down, up
        )
        owners = owner if field == "beats" else owner[is_note]
        by_piece = np.array([np.bincount(owners, row, len(asked)) for row in rows])
        costs = by_piece.sum(axis=1)
        reach = [int(costs[: order + 1].argmin()) for order in range(MAX_ORDER)]
        total += by_piece[reach]
    return total, np.bincount(owner[is_note], minlength=len(asked))


def _levels(field: str) -> list[tuple[str, ...]]:
    """Return what each longer context adds: the note's own surroundings first, then one note before at a time.

    The last `MAX_ORDER` levels are those of the orders. `time1` is the time of the note before, and so on.
    """
    orders = range(1, MAX_ORDER + 1)
    if field == "beats":
        return [("position1",), *((f"duration{k}", f"time{k}") for k in orders)]
    if field == "step":
        return [("beats0", "position1"), *((f"duration{k}", f"time{k}") for k in orders)]
    if field == "pitch":
        return [("time0",), *((f"time{k}", f"interval{k}") for k in orders)]
    if field == "duration":
        first = ("duration1", "position0")
        return [("time0",), first, *((f"time{k - 1}", f"duration{k}") for k in orders[1:])]
    return [("time0",), *((f"velocity{k}", f"time{k - 1}") for k in orders)]


def _field_bits(
    field: str, seen: dict[str, np.ndarray], asked: dict[str, np.ndarray], encoding: Encoding, down: int, up: int
) -> np.ndarray:
    """Return the bits that one field of each held-out row costs under each order, shape (MAX_ORDER, n_rows)."""
    target = "interval0" if field == "pitch" else f"{field}0"
    n_classes = encoding.n_classes[field]
    if field == "pitch":
        chance = _register(seen["pitch0"], n_classes, down, up)[asked["pitch0"]]
    else:
        chance = np.full(len(asked[target]), 1 / n_classes)
    bits = []
    seen_context = np.zeros(len(seen[target]), np.uint64)
    asked_context = np.zeros(len(asked[target]), np.uint64)
    for names in _levels(field):
        for name in names:
            seen_context = _mix(seen_context, seen[name])
            asked_context = _mix(asked_context, asked[name])
        chance = _interpolate(seen_context, seen[target], asked_context, asked[target], chance)
        bits.append(-np.log2(chance))
    return np.array(bits[-MAX_ORDER:])


def _interpolate(
    seen_context: np.ndarray, seen: np.ndarray, asked_context: np.ndarray, asked: np.ndarray, shorter: np.ndarray
) -> np.ndarray:
    """Return p(symbol | context) of each asked symbol, from counts and from the shorter context's probability.

    p = (count(context, symbol) + e p_shorter(symbol)) / (count(context) + e), where e is `ESCAPE_WEIGHT` times
    the number of different symbols seen after the context. A context never seen gives the shorter one's.

    Parameters
    ----------
    seen_context, seen
        Hashed context (uint64) and symbol of every training event, shape (n,).
    asked_context, asked, shorter
        The same of every held-out event, and its probability under the shorter context, shape (m,).
    """
    _, first, pair_counts = np.unique(_mix(seen_context, seen), return_index=True, return_counts=True)
    pairs = _mix(seen_context, seen)[first]
    contexts, counts = np.unique(seen_context, return_counts=True)
    _, kinds = np.unique(seen_context[first], return_counts=True)
    n_pair = _look_up(pairs, pair_counts, _mix(asked_context, asked))
    n_context = _look_up(contexts, counts, asked_context)
    escape = ESCAPE_WEIGHT * _look_up(contexts, kinds, asked_context)
    known = n_context > 0
    return np.where(known, (n_pair + escape * shorter) / np.where(known, n_context + escape, 1), shorter)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the value of each wanted key, 0 where it is not among the sorted `keys`."""
    if len(keys) == 0:
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def _register(pitches: np.ndarray, n_pitches: int, down: int, up: int) -> np.ndarray:
    """Return the share of each pitch when the music is transposed by -down to +up semitones, shape (n_pitches,).

    Smoothed like every other context, so that no pitch is impossible.
    """
    counts = np.zeros(n_pitches)
    for semitones in range(-down, up + 1):
        moved = pitches + semitones
        inside = moved[(moved >= 0) & (moved < n_pitches)]
        counts += np.bincount(inside, minlength=n_pitches)
    escape = max(ESCAPE_WEIGHT * np.count_nonzero(counts), 1)
    return (counts + escape / n_pitches) / (counts.sum() + escape)


def _predicted(columns: dict[str, np.ndarray], field: str, encoding: Encoding) -> dict[str, np.ndarray]:
    """Return the rows in which `field` is predicted: all for beats, all but STOP for the rest."""
    if field == "beats":
        return columns
    keep = columns["beats0"] != encoding.stop
    return {name: values[keep] for name, values in columns.items()}


def _columns(pieces: Sequence[np.ndarray], encoding: Encoding) -> dict[str, np.ndarray]:
    """Return every predicted event (notes and STOP) of all pieces as columns, with the notes before it.

    `pitch0` is the event's own pitch, `pitch1` that of the note before, to `MAX_ORDER`; `interval1` leads from
    the second note before to the first. What lies before START is `_OUTSIDE`.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for piece in pieces:
        events = piece.astype(np.int64)
        columns = {name: events[:, at] for name, at in COLUMN.items()}
        columns["time"] = events[:, BEATS] * encoding.steps_per_beat + events[:, STEP]
        columns["position"] = events[:, POSITION]
        columns["interval"] = np.diff(events[:, PITCH], prepend=_OUTSIDE)
        for name, values in columns.items():
            padded = np.concatenate([np.full(MAX_ORDER, _OUTSIDE), values])
            for back in range(MAX_ORDER + 1):
                parts.setdefault(f"{name}{back}", []).append(padded[MAX_ORDER + 1 - back : len(padded) - back])
    names = (*COLUMN, "time", "position", "interval")
    empty = [np.zeros(0, np.int64)]
    return {
        f"{name}{k}": np.concatenate(parts.get(f"{name}{k}", empty)) for name in names for k in range(MAX_ORDER + 1)
    }


def _mix(hashes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the 64-bit hash of each context with one more value; collisions are too rare to matter."""
    mixed = (hashes ^ (values.astype(np.uint64) + np.uint64(0x7F4A7C15))) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))
