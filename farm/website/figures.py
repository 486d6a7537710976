"""The pictures that need axes: how a style's training went, and where on that road the model was picked.

Conventions
-----------
As in `drawing`. Epochs count from 1; losses are bits per note.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farm.website.drawing import BAD, GOOD, HELD, INK, MUTED, NGRAM, SETTINGS, TRAIN, WARN, finished
from farm.website.evidence import History


@dataclass(frozen=True)
class Marks:
    """What is drawn beside the curve; None and empty leave a mark out.

    `first` and `flat` bound the plateau; before `repetition_ends` the samples loop, from `copying_begins` they copy.
    """

    pick: int | None = None
    first: int | None = None
    flat: int | None = None
    blow_up: int | None = None
    repetition_ends: int | None = None
    copying_begins: int | None = None
    ngram_bits: float | None = None
    sampled: tuple[int, ...] = ()


def curves(history: History, marks: Marks) -> Markup:
    """Return the training curve as an SVG element: bits per note, what the samples said, share of right pitches.

    Parameters
    ----------
    history
        At least one epoch; NaN leaves a gap.

    Returns
    -------
    Empty markup when there is no epoch.
    """
    if not history.epochs:
        return Markup("")
    strip = marks.repetition_ends is not None or marks.copying_begins is not None
    heights = [7, 0.5, 2.6] if strip else [7, 2.6]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8, 4.3), dpi=72)
        axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        figure.subplots_adjust(left=0.075, right=0.885, top=0.93, bottom=0.1, hspace=0.16)
        _draw_bits(axes[0], history, marks)
        if strip:
            _draw_strip(axes[1], history.epochs[-1], marks)
        _draw_accuracy(axes[-1], history, marks)
        last = history.epochs[-1]
        axes[-1].set_xlim(0.5, last + max(0.5, last * 0.012))
        axes[-1].xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes[-1].set_xlabel("epoch")
        return finished(figure, "curve", "Training curve; the table below holds its numbers")


def _draw_bits(axes: Axes, history: History, marks: Marks) -> None:
    last = history.epochs[-1]
    bottom, top = bits_range([history.bits, history.heldout_bits], marks)
    if marks.first is not None and marks.first <= last:
        until = min(marks.flat if marks.flat is not None else last, last)
        start, end = marks.first - 0.5, max(until, marks.first) + 0.5
        axes.axvspan(start, end, color=GOOD, alpha=0.13, linewidth=0)
        if end - start > 0.1 * last:
            place = (start, 1)
            axes.annotate(
                "plateau", place, (5, -5), xycoords=axes.get_xaxis_transform(), textcoords="offset points", va="top"
            )
    dot = "o" if len(history.epochs) == 1 else None
    axes.plot(history.epochs, history.bits, color=TRAIN, linewidth=1.1, marker=dot, markersize=4)
    axes.plot(history.epochs, history.heldout_bits, color=HELD, linewidth=1.8, marker=dot, markersize=4)
    ends = [(_last(history.bits), "training", TRAIN), (_last(history.heldout_bits), "held out", HELD)]
    if marks.ngram_bits is not None:
        axes.axhline(marks.ngram_bits, color=NGRAM, linewidth=1.1, dashes=(5, 3))
        ends.append((marks.ngram_bits, f"n-gram {marks.ngram_bits:.2f}", NGRAM))
    _label_ends(axes, [end for end in ends if math.isfinite(end[0])], bottom, top)
    if marks.sampled:
        axes.plot(marks.sampled, [bottom] * len(marks.sampled), "|", color=MUTED, markersize=9, markeredgewidth=1)
    if marks.blow_up is not None:
        axes.axvline(marks.blow_up, color=BAD, linewidth=1.3, dashes=(3, 2))
        _flag(axes, marks.blow_up, last, f"breaks at {marks.blow_up}", BAD)
    if marks.pick is not None:
        _mark_pick(axes, history, marks.pick)
    axes.set_ylim(bottom, top)
    axes.tick_params(bottom=False)  # so that the only ticks at its foot are snapshots
    axes.set_ylabel("bits per note")
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _mark_pick(axes: Axes, history: History, pick: int) -> None:
    """Draw the pick over its curve, and name it above the frame where no curve runs."""
    axes.axvline(pick, color=GOOD, linewidth=1.3)
    if pick in history.epochs:
        index = history.epochs.index(pick)
        height = history.heldout_bits[index]
        height = height if math.isfinite(height) else history.bits[index]
        if math.isfinite(height):
            axes.plot([pick], [height], "o", color=GOOD, markersize=7, zorder=5)
    _flag(axes, pick, history.epochs[-1], f"picked: epoch {pick}", GOOD)


def _flag(axes: Axes, epoch: int, last: int, text: str, colour: str) -> None:
    side = "left" if epoch < 0.15 * last else "right" if epoch > 0.85 * last else "center"
    axes.annotate(
        text, (epoch, 1), (0, 4), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
        color=colour, ha=side, va="bottom", fontsize=9.5, weight="bold", annotation_clip=False,
    )  # fmt: skip


def _draw_strip(axes: Axes, last: int, marks: Marks) -> None:
    """Draw for which epochs the samples loop, for which they copy, and what is left between."""
    loops = min(marks.repetition_ends, last + 1) if marks.repetition_ends is not None else 1
    copies = min(marks.copying_begins, last + 1) if marks.copying_begins is not None else last + 1
    parts = [(1, loops, WARN, "loops"), (loops, copies, GOOD, "good"), (copies, last + 1, BAD, "copies")]
    for start, end, colour, word in parts:
        if end > start:
            axes.axvspan(start - 0.5, end - 0.5, color=colour, alpha=0.5, linewidth=0)
            if end - start > 0.09 * last:
                axes.text((start + end - 1) / 2, 0.45, word, ha="center", va="center", fontsize=8, color=INK)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False)
    axes.annotate("samples", (1, 0.45), (6, 0), xycoords="axes fraction", textcoords="offset points", va="center")


def _draw_accuracy(axes: Axes, history: History, marks: Marks) -> None:
    dot = "o" if len(history.epochs) == 1 else None
    axes.plot(history.epochs, history.accuracy, color=TRAIN, linewidth=1.1, marker=dot, markersize=3)
    axes.plot(history.epochs, history.heldout_accuracy, color=HELD, linewidth=1.6, marker=dot, markersize=3)
    if marks.pick is not None:
        axes.axvline(marks.pick, color=GOOD, linewidth=1.3)
    if marks.blow_up is not None:
        axes.axvline(marks.blow_up, color=BAD, linewidth=1.3, dashes=(3, 2))
    known = [value for value in (*history.accuracy, *history.heldout_accuracy) if math.isfinite(value)]
    axes.set_ylim(0, min(1.0, 1.15 * max(known)) if known and max(known) > 0 else 1)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:.0%}")
    axes.set_ylabel("right pitch")


def bits_range(columns: Sequence[Sequence[float]], marks: Marks) -> tuple[float, float]:
    """Return the lowest and highest bits the axis shows: the whole descent, but not how high a blow-up goes.

    Values far above the first epochs' are cut off: a loss of a million bits after training broke would press the
    part worth seeing flat. No finite value gives (0, 1).
    """
    known = [value for column in columns for value in column if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    starts = [value for column in columns for value in column[:3] if math.isfinite(value)]
    low, high = min(known), min(max(known), 1.15 * max(starts)) if starts else max(known)
    if marks.ngram_bits is not None:
        low, high = min(low, marks.ngram_bits), max(high, marks.ngram_bits)
    room = 0.06 * (high - low) or 0.5
    return max(low - room, 0.0), high + room


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], bottom: float, top: float) -> None:
    """Write each curve's name at its right end, moved apart where they would touch."""
    gap, reached = 0.062 * (top - bottom), -math.inf
    for height, text, colour in sorted(ends):
        place = max(min(max(height, bottom), top), reached + gap)
        reached = place
        axes.annotate(
            text, (1, place), (6, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            color=colour, va="center", annotation_clip=False,
        )  # fmt: skip


def _last(values: Sequence[float]) -> float:
    return next((value for value in reversed(values) if math.isfinite(value)), math.nan)
