"""The picture of a pick, for any training log: the curves, the plateau, what is not trusted, and the epoch to use.

Conventions
-----------
A file that stands alone, on white. Equal input gives equal bytes. Epochs are those of the log; the loss has its unit.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farm.config import Selection
from farm.selection.curve import analyse
from farm.selection.metrics import number, read_metrics
from farm.website.drawing import BAD, GOOD, HELD, INK, SETTINGS, TRAIN, WARN

_LOOK: dict[Any, Any] = {**SETTINGS, "font.size": 9.5, "axes.labelcolor": INK, "text.color": INK}
_NARROW_SHARE = 0.08  # of the width: a band that is less wide has room for its name only upright
_LINE_SHARE = 0.015  # and a band as narrow as a line of text has none
_NAME_SIGNS = 60
# How far above its start a loss is drawn, in times what it fell: training that blew up, held-out music overfitted.
_TRAINING_RISE, _HELDOUT_RISE = 0.15, 1.5


def draw(
    records: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], start_loss: float | None, ending: str
) -> bytes:
    """Return the picture of a judged log.

    Parameters
    ----------
    records
        One per epoch, ordered; a loss that is no number leaves a gap.
    facts
        The content of verdict.json.
    ending
        png or svg.
    """
    has_accuracy = any(_known(records, name)[1] for name in ("accuracy", "val_accuracy"))
    heard = facts["repetition_ends"] is not None or facts["copying_begins"] is not None
    heights = [6.5, *([0.5] if heard else []), *([2.6] if has_accuracy else [])]
    with mpl.rc_context(_LOOK):
        figure = Figure(figsize=(9, 5.2), dpi=120, facecolor="white")
        axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        figure.subplots_adjust(left=0.085, right=0.895, top=0.83, bottom=0.1, hspace=0.14)
        _title(figure, facts)
        epochs = [record["epoch"] for record in records] or [1]
        axes[-1].set_xlim(epochs[0] - 0.5, max(epochs[-1], epochs[0] + 1) + 0.5)
        for panel in axes[:-1]:
            panel.tick_params(bottom=False)
        for panel in (axes[0], *axes[1 + heard :]):
            _draw_bands(panel, records, facts, start_loss, named=panel is axes[0])
        _draw_lines(axes[0], records, ("loss", "val_loss"), "loss", _draw_loss_range)
        if heard:
            _draw_samples(axes[1], epochs, facts)
        if has_accuracy:
            _draw_lines(axes[-1], records, ("accuracy", "val_accuracy"), "accuracy", _draw_share_range)
        _mark(axes[0], records, facts)
        axes[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True))
        axes[-1].set_xlabel("epoch, counted from 0" if facts.get("epochs_from") == 0 else "epoch")
        out = io.BytesIO()
        figure.savefig(out, format=ending, metadata={"Date": None} if ending == "svg" else {"Software": None})
    return out.getvalue()


def _title(figure: Figure, facts: Mapping[str, Any]) -> None:
    epoch, is_fit = facts["epoch"], facts["fit"]
    if epoch is None:
        head = "No epoch is fit to use"
    else:
        head = f"Use epoch {epoch}" if is_fit else f"Epoch {epoch} is the best there is, for now"
    colour = GOOD if is_fit else BAD if epoch is None else WARN
    figure.text(0.085, 0.935, head, fontsize=17, weight="bold", color=colour)
    told = f"{facts['verdict']}, confidence {facts['confidence']:.0%}"
    name = str(facts["style"])  # a file may be named with signs that mathematics would be made of
    figure.text(0.895, 0.895, name[:_NAME_SIGNS], ha="right", parse_math=False)
    figure.text(0.085, 0.895, told)


def _draw_bands(
    axes: Axes, records: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], start_loss: float | None, named: bool
) -> None:
    """Shade the plateau, and whatever is not trusted; name each where there is room."""
    first, flat = facts["plateau"]["first"], facts["plateau"]["flat"]
    if first is not None:
        _band(axes, first, first if flat is None else max(first, flat), GOOD, "plateau" if named else "")
    for begin, end in _untrusted(records, facts, start_loss):
        _band(axes, begin, end, BAD, "not trusted" if named else "")
    if facts["blow_up"] is not None:
        axes.axvline(facts["blow_up"], color=BAD, linewidth=1.4, dashes=(3, 2))
    if facts["epoch"] is not None:
        axes.axvline(facts["epoch"], color=GOOD, linewidth=1.8)


def _band(axes: Axes, begin: int, end: int, colour: str, name: str) -> None:
    axes.axvspan(begin - 0.5, end + 0.5, color=colour, alpha=0.14, linewidth=0)
    left, right = axes.get_xlim()
    width_share = (end + 1 - begin) / (right - left)
    if name and width_share > _LINE_SHARE:
        axes.annotate(
            name, ((begin + end) / 2, 1), (0, -5), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            ha="center", va="top", color=colour, rotation=0 if width_share > _NARROW_SHARE else 90,
        )  # fmt: skip


def _untrusted(
    records: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], start_loss: float | None
) -> list[tuple[int, int]]:
    """Return first and last epoch of every stretch whose weights the rule would not take."""
    curve = analyse(read_metrics(records), Selection.model_validate(facts["rule"]), start_loss)
    stretches: list[tuple[int, int]] = []
    was_safe = True
    for record in records:
        is_safe = curve.is_safe(record["epoch"])
        if not is_safe:
            begin = record["epoch"] if was_safe else stretches.pop()[0]
            stretches.append((begin, record["epoch"]))
        was_safe = is_safe
    return stretches


def _draw_lines(
    axes: Axes,
    records: Sequence[Mapping[str, Any]],
    names: tuple[str, str],
    label: str,
    set_range: Callable[[Axes, Sequence[Sequence[float]]], None],
) -> None:
    """Draw the training and the held-out column, each named at its right end."""
    drawn = [_known(records, name) for name in names]
    set_range(axes, [values for _, values in drawn])
    low, high = axes.get_ylim()
    ends = []
    for (epochs, values), colour, what in zip(drawn, (TRAIN, HELD), ("training", "held out"), strict=True):
        if values:
            axes.plot(epochs, values, color=colour, linewidth=1.5, marker="o" if len(values) < 3 else None)
            ends.append((min(max(values[-1], low), high), what + (" ↑" if values[-1] > high else ""), colour))
    reached = -math.inf
    for height, what, colour in sorted(ends):
        reached = max(height, reached + 0.075 * (high - low) * (1 if label == "loss" else 2.4))
        axes.annotate(
            what, (1, reached), (6, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            color=colour, va="center", annotation_clip=False,
        )  # fmt: skip
    axes.set_ylabel(label)


def _draw_loss_range(axes: Axes, columns: Sequence[Sequence[float]]) -> None:
    """Show the whole descent, but not how high a blow-up goes: that would press flat what is worth seeing."""
    shown = [
        (min(values), min(max(values), values[0] + times * (max(values[:3]) - min(values))))
        for values, times in zip(columns, (_TRAINING_RISE, _HELDOUT_RISE), strict=True)
        if values
    ]
    low, high = (min(low for low, _ in shown), max(high for _, high in shown)) if shown else (0.0, 1.0)
    room = 0.07 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)


def _draw_share_range(axes: Axes, columns: Sequence[Sequence[float]]) -> None:
    axes.set_ylim(0, min(1.02, 1.15 * max((value for values in columns for value in values), default=1) or 1))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:.0%}")


def _draw_samples(axes: Axes, epochs: Sequence[int], facts: Mapping[str, Any]) -> None:
    """Draw for which epochs the samples loop, for which they copy, and what is left between."""
    loops = facts["repetition_ends"] if facts["repetition_ends"] is not None else epochs[0]
    copies = facts["copying_begins"] if facts["copying_begins"] is not None else epochs[-1] + 1
    parts = [(epochs[0], min(loops, copies), WARN, "loops"), (loops, copies, GOOD, "good")]
    for begin, end, colour, word in [*parts, (copies, epochs[-1] + 1, BAD, "copies")]:
        if end > begin:
            axes.axvspan(begin - 0.5, end - 0.5, color=colour, alpha=0.5, linewidth=0)
            if end - begin > _NARROW_SHARE * len(epochs):
                axes.text((begin + end - 1) / 2, 0.45, word, ha="center", va="center", fontsize=8.5)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.annotate("samples", (1, 0.45), (6, 0), xycoords="axes fraction", textcoords="offset points", va="center")


def _mark(axes: Axes, records: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
    """Put the pick on its curve, and name it and the blow-up above the frame."""
    pick, broken = facts["epoch"], facts["blow_up"]
    left, right = axes.get_xlim()
    for epoch, text, colour in ((pick, f"pick: {pick}", GOOD), (broken, f"breaks at {broken}", BAD)):
        if epoch is None:
            continue
        at = (epoch - left) / (right - left)
        side = "left" if at < 0.08 or epoch == broken else "right" if at > 0.92 or broken is not None else "center"
        axes.annotate(
            text, (epoch, 1), (0, 3), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            color=colour, ha=side, va="bottom", weight="bold", annotation_clip=False,
        )  # fmt: skip
    for record in records:
        if record["epoch"] == pick:
            axes.plot([pick], [number(record["loss"])], "o", color=GOOD, markersize=8, zorder=5)


def _known(records: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Return the epochs at which a column has a value, and the values."""
    known = [(record["epoch"], number(record.get(name))) for record in records]
    found = [(epoch, value) for epoch, value in known if math.isfinite(value)]
    return [epoch for epoch, _ in found], [value for _, value in found]
