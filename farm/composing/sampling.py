"""Composing: one event after the other from a network's chances, for several pieces side by side.

Conventions
-----------
Temperature 1 takes the network's chances as they are; below 1 the likely becomes likelier. Top-p keeps the
likeliest classes that together reach that share.

A piece is what the network's weights say in double precision, where no machine's way to add numbers up decides what is
drawn. Networks run in single precision, which takes half the time; a draw that its rounding might have decided is made
again from exact answers (`farm.composing.exact`).

The rules of event order (see `farm.music.encoding`) hold
always, whatever the network wants: the first note lies in the first bar, inside a chord pitches rise, STOP
comes no earlier than a quarter of the asked length. Piece i of seed s is piece 0 of seed s + i, whatever the
count, so that any piece of a batch can be composed again alone.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from farm.composing.draft import NOTES_PER_BAR, Composition, Draft
from farm.composing.drawing import draw
from farm.composing.exact import Exact
from farm.composing.guard import Guard
from farm.composing.player import Player
from farm.errors import FarmError
from farm.music.encoding import BEATS, METRE, POSITION, PREDICTED, STEP, Encoding

MAX_NOTES = 1_000_000
_EVENTS_OF_LOTS = 64  # drawn at a time


class Network(Protocol):
    """What composing needs of a network; `farm.composing.player.Player` is one."""

    def start(self, n: int) -> Any: ...

    def feed(self, state: Any, rows: np.ndarray) -> Any: ...

    def logits(self, state: Any, field: str, rows: np.ndarray) -> np.ndarray: ...


def compose(
    player: Network,
    encoding: Encoding,
    *,
    notes: int | None = None,
    bars: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 0.95,
    metre: int | None = None,
    count: int = 1,
    primer: np.ndarray | None = None,
    greedy: bool = False,
) -> list[Composition]:
    """Compose `count` pieces of at most `notes` notes or `bars` bars.

    Parameters
    ----------
    notes, bars
        The length: exactly one of the two. A primer's own notes or bars come on top. Notes that would sound
        past the last bar are cut there.
    seed
        Any whole number >= 0; equal seeds give equal events.
    metre
        Class of the metre (`Encoding.metre_class`); the primer's, else the first, when None.
    primer
        Event array to go on from, with or without START and STOP.
    greedy
        Take the likeliest class always, without guard; for judging what a model falls into. All pieces are equal.

    Returns
    -------
    One Composition per piece, in order.

    Raises
    ------
    FarmError
        For a setting out of range, or when the network answers with numbers that are not finite.
    """
    _check(notes, bars, seed, temperature, top_p, count)
    opening = _opening(encoding, primer, metre)
    draft = Draft(encoding, opening, count, notes, bars)
    guard = None if greedy else Guard(count, encoding, draft.bar_steps)
    chooser = _Chooser(guard, seed, count, temperature, top_p)
    exact = Exact(player, draft) if isinstance(player, Player) and not greedy else None

    state = player.start(count)
    for row in opening:
        state = player.feed(state, np.tile(row, (count, 1)))
    while True:
        rows = _next_rows(player, state, draft, chooser, exact)
        draft.add(rows)
        if draft.done.all():
            return draft.compositions(guard)
        if guard is not None:
            guard.observe(rows, ~draft.done)
        state = player.feed(state, rows)


class _Chooser:
    """Chooses classes: the likeliest without a guard, else by lot, and again where the guard bans the draw."""

    def __init__(self, guard: Guard | None, seed: int, n: int, temperature: float, top_p: float) -> None:
        self._guard = guard
        self._temperature = temperature
        self._top_p = top_p
        self._dice = [np.random.Generator(np.random.PCG64(seed + piece)) for piece in range(n)]
        self._heat = np.ones(n)
        self._pieces = np.arange(n)
        self._event = -1
        self._lots = np.zeros((0, len(PREDICTED), 2, n))

    def next_event(self) -> None:
        """Draw the lots of one event: two for each field, needed or not, so that a piece's lots never shift."""
        if self._guard is not None:
            self._heat = self._temperature * self._guard.heat
        self._event += 1
        if self._event == len(self._lots):
            drawn = [die.random((_EVENTS_OF_LOTS, *self._lots.shape[1:3])) for die in self._dice]
            self._lots, self._event = np.stack(drawn, axis=-1), 0

    def choose(self, name: str, logits: np.ndarray, rows: np.ndarray, settle: Callable[[np.ndarray], None]) -> Any:
        """Return one class per piece, shape (n,).

        Parameters
        ----------
        logits
            float64, -inf where a class is not legal, shape (n, n_classes).
        rows
            The next event of every piece as far as it is decided.
        settle
            Puts exact logits in place for some pieces, bool, shape (n,).
        """
        if self._guard is None:
            return logits.argmax(axis=1)
        lots = self._lots[self._event, PREDICTED.index(name)]
        drawn = self._draw(logits, lots[0], settle)
        banned = self._guard.banned(name, rows)
        if banned is None:
            return drawn
        again = banned[self._pieces, drawn]
        if not again.any():
            return drawn
        again &= (~banned & (logits > -np.inf)).any(axis=1)
        self._guard.count(name, again)
        barred = banned & again[:, None]
        return np.where(again, self._draw(logits, lots[1], settle, barred), drawn)

    def _draw(
        self, logits: np.ndarray, lots: np.ndarray, settle: Callable[[np.ndarray], None], barred: Any = None
    ) -> np.ndarray:
        """Return the class of each piece, of those that are not barred; from exact logits where rounding may decide."""
        free = logits if barred is None else np.where(barred, -np.inf, logits)
        drawn, sure = draw(free, lots, self._heat, self._top_p)
        if sure.all():
            return drawn
        settle(~sure)
        free = logits if barred is None else np.where(barred, -np.inf, logits)
        return draw(free, lots, self._heat, self._top_p)[0]


def _check(notes: int | None, bars: int | None, seed: int, temperature: float, top_p: float, count: int) -> None:
    """Raise FarmError for the first setting that is out of range."""
    if (notes is None) == (bars is None):
        raise FarmError("compose: the length is asked in notes or in bars, found both or neither; give one of them")
    length = notes if notes is not None else (bars or 0) * NOTES_PER_BAR
    most = f"{MAX_NOTES:,}" if bars is None else f"{MAX_NOTES // NOTES_PER_BAR:,}"
    for name, value, good, wanted in (
        ("notes" if bars is None else "bars", notes if bars is None else bars, 0 < length <= MAX_NOTES, f"1 to {most}"),
        ("seed", seed, seed >= 0, "0 or more"),
        ("temperature", temperature, 0 < temperature <= 10, "more than 0, at most 10; 1 is as the music was"),
        ("top-p", top_p, 0 < top_p <= 1, "more than 0, at most 1"),
        ("pieces", count, 0 < count <= 10_000, "1 to 10,000"),
    ):
        if not good:
            raise FarmError(f"compose: {name} is {value}, which is out of range; give {wanted}")


def _opening(encoding: Encoding, primer: np.ndarray | None, metre: int | None) -> np.ndarray:
    """Return START and the notes of the primer, shape (1 + n_notes, 7)."""
    start = encoding.start_row[None]
    notes = np.zeros((0, len(start[0])), np.int16) if primer is None else primer[primer[:, BEATS] < encoding.stop]
    if metre is None:
        metre = int(notes[0, METRE]) if len(notes) else 0
    if not 0 <= metre < len(encoding.metres):
        raise FarmError(f"compose: metre class {metre} is unknown; this model has {', '.join(encoding.metres)}")
    opening = np.concatenate([start, notes]).astype(np.int16)
    opening[:, METRE] = metre
    opening[1:, POSITION] = encoding.positions(np.cumsum(encoding.gaps(notes)), metre)
    return opening


def _next_rows(player: Network, state: Any, draft: Draft, chooser: _Chooser, exact: Exact | None) -> np.ndarray:
    """Return the next event of every piece, each field chosen after those before it; int64, shape (n, 7)."""
    rows = np.zeros(draft.last.shape, np.int64)
    rows[:, METRE] = draft.metre
    chooser.next_event()
    for column, name in enumerate(draft.encoding.fields):
        logits = player.logits(state, name, rows).astype(np.float64)
        illegal = draft.illegal(name, rows)
        if illegal is not None:
            np.copyto(logits, -np.inf, where=illegal)

        def settle(unsure: np.ndarray, name: str = name, logits: np.ndarray = logits) -> None:
            if exact is not None:
                exact.settle(name, rows, logits, unsure & ~draft.done)

        rows[:, column] = chooser.choose(name, logits, rows, settle)
        if name == "step":
            draft.place(rows)
    stopping = rows[:, BEATS] == draft.encoding.stop
    if stopping.any():
        rows[stopping, STEP:METRE] = 0
    return rows
