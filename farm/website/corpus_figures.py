"""The pictures of what a style learned from: bars over pitches, note values, keys, metres, tempos, lengths.

Conventions
-----------
As in `drawing`. All are drawn to one small size, so that they stand side by side on a desk and one below the other
on a phone with letters as large as the page's small print.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from farm.website.drawing import ACCENT, LINE, SETTINGS, finished

_PALE = 0.45  # opacity of the bars that stand back


@dataclass(frozen=True)
class Bars:
    """What one picture shows.

    `lefts` and `heights` go together, all bars being `width` wide; `pale` are the indices of those that stand back.
    `ticks` are places and names on the axis. Heights are shares of 1 where `is_share`, else whole numbers.
    """

    lefts: tuple[float, ...]
    heights: tuple[float, ...]
    width: float
    span: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]
    is_share: bool
    pale: frozenset[int] = frozenset()


def bars(shown: Bars, name: str, label: str) -> Markup:
    """Return bars as an SVG element; `name` is unique on the page, `label` the text alternative."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(3.7, 2.0), dpi=72)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.12, right=0.985, top=0.95, bottom=0.19)
        top = max(shown.heights, default=0) or 1
        axes.set_ylim(0, 1.06 * top)
        axes.set_xlim(*shown.span)
        _grid(axes, shown)
        strong = [index for index in range(len(shown.lefts)) if index not in shown.pale]
        _draw(axes, shown, strong, 1)
        _draw(axes, shown, sorted(shown.pale), _PALE)
        return finished(figure, name, label)


def _grid(axes: Axes, shown: Bars) -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=not shown.is_share))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %" if shown.is_share else f"{value:,.0f}")
    axes.set_xticks([place for place, _ in shown.ticks], [name for _, name in shown.ticks])


def _draw(axes: Axes, shown: Bars, chosen: Sequence[int], opacity: float) -> None:
    """Draw all chosen bars as one path: a hundred elements of their own would be most of the page."""
    corners = [
        np.array([(left, 0), (left, height), (left + shown.width, height), (left + shown.width, 0), (left, 0)])
        for left, height in ((shown.lefts[index], shown.heights[index]) for index in chosen)
        if height > 0
    ]
    if not corners:
        return
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(corners)
    axes.add_patch(PathPatch(Path(np.concatenate(corners), codes), facecolor=ACCENT, alpha=opacity, linewidth=0))
