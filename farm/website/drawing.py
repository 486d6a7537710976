"""How pictures with axes look: their colours, their settings, and the last step from a figure to the page.

Conventions
-----------
Figures are SVG that stands inside a page: no date, no random identifier, no style of its own that the page's
content policy would refuse, so equal input gives equal bytes. Colours are the page's variables with a fallback
that can be read on white and on black.
"""

import io
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from farm.website.svg import for_page

# Stand-in colours for matplotlib, and what they become in the page. No two may be equal.
_COLOURS = {
    "#707070": "var(--ink, #707070)",
    "#808080": "var(--muted, #808080)",
    "#808081": "var(--line, #80808066)",
    "#b07020": "var(--train, #b07020)",
    "#2080a0": "var(--held, #2080a0)",
    "#907090": "var(--ngram, #907090)",
    "#309060": "var(--good, #309060)",
    "#c05050": "var(--bad, #c05050)",
    "#a08030": "var(--warn, #a08030)",
    "#3a8090": "var(--accent, #3a8090)",
}
INK, MUTED, LINE, TRAIN, HELD, NGRAM, GOOD, BAD, WARN, ACCENT = _COLOURS

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, spoken and takes the page's ink
    "svg.hashsalt": "farm",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "text.color": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "path.simplify": False,
}


def finished(figure: Figure, name: str, label: str) -> Markup:
    """Return a figure, drawn under `SETTINGS`, as an element for the page.

    Parameters
    ----------
    name
        Begins every identifier inside; no two figures of a page may share it.
    label
        The text alternative.
    """
    out = io.BytesIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return for_page(out.getvalue(), name, label, _COLOURS)
