"""The page of who knows whose music: each model's bits a note on each style's held-out music, as a coloured table.

Conventions
-----------
A row is a model, a column a style's music; lower is better, and only numbers of one column can be compared, for each
style's music is as hard as it is. A colour is how many more bits a model needs than the best of the column, in the
steps of `STEPS`; the number stands beside it. What was not measured has no number and says why.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from farm import layout
from farm.config import STYLE_NAME
from farm.errors import StorageError
from farm.storage import Storage
from farm.website.evidence import Evidence, records
from farm.website.text import MISSING, decimals, number, plural
from farm.website.wording import page_name, title_of

STEPS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""More bits than the best of the column, as shares of its bits, from which on a cell is one step paler."""

_CLOSE_BITS = 0.02  # of so few notes, that is as good


@dataclass(frozen=True)
class Measured:
    """What was measured for the page.

    Attributes
    ----------
    corpora
        By style, the digest of its excerpt, and how many pieces and notes that has.
    bits
        By hash of a model file and digest of an excerpt; None where that model cannot be asked.
    """

    corpora: Mapping[str, tuple[str, int, int]]
    bits: Mapping[tuple[str, str], float | None]


@dataclass(frozen=True)
class Cell:
    """One model on one style's music; `level` is 0 for the best, `len(STEPS) + 1` for the palest, -1 for no number."""

    text: str
    level: int
    under: str
    is_own: bool


@dataclass(frozen=True)
class Line:
    """One model."""

    title: str
    link: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Head:
    """One style's music."""

    title: str
    under: str


@dataclass(frozen=True)
class HeatPage:
    """Everything on heat.html."""

    title: str
    root: str
    sentence: str
    exceptions: tuple[str, ...]
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    legend: tuple[str, ...]
    missing: str
    made_from: str


def read_measured(storage: Storage, styles: Sequence[Evidence]) -> Measured:
    """Return what was measured when the styles were published; what cannot be read counts as not measured."""
    corpora, bits = {}, {}
    for style in styles:
        if not (STYLE_NAME.fullmatch(style.style) and storage.exists(layout.heat(style.style))):
            continue
        try:
            told = storage.read_json(layout.heat(style.style))
            corpora[style.style] = (str(told["corpus"]), int(told["pieces"]), int(told["notes"]))
            bits.update({(str(model), str(excerpt)): number(value) for model, excerpt, value in told["bits"]})
        except (StorageError, KeyError, TypeError, ValueError):
            continue
    return Measured(corpora, bits)


def heat_page(styles: Sequence[Evidence], measured: Measured) -> HeatPage:
    """Return the page for all styles that have a model."""
    trained = [style for style in styles if _sha256(style)]
    columns = [_column(style, trained, measured) for style in trained]
    told = [_told(style, column, trained) for style, column in zip(trained, columns, strict=True)]
    asked = [one for one in told if one is not None]
    exceptions = tuple(one for one in asked if one)
    lines = tuple(
        Line(title_of(style), f"styles/{page_name(style.style)}", tuple(column[row] for column in columns))
        for row, style in enumerate(trained)
    )
    unknown = sum(cell.level < 0 for column in columns for cell in column)
    return HeatPage(
        title="Who knows whose music",
        root="",
        sentence=_sentence(len(asked), len(exceptions)),
        exceptions=exceptions,
        heads=tuple(Head(title_of(style), _under(style, measured)) for style in trained),
        lines=lines,
        legend=_legend(),
        missing=f"{plural(unknown, 'pair')} not measured yet; the next 'farm run' goes on with it." if unknown else "",
        made_from=f"{plural(len(trained), 'model')}, {plural(len(columns) * len(trained) - unknown, 'pair')} measured.",
    )


def _sha256(style: Evidence) -> str:
    files = records(style.model.get("files"))
    return str(files[0].get("sha256") or "") if files else ""


def _under(style: Evidence, measured: Measured) -> str:
    if style.style not in measured.corpora:
        return "not measured yet"
    _, pieces, notes = measured.corpora[style.style]
    return f"{plural(pieces, 'piece')}, {plural(notes, 'note')}" if notes else "no notes to ask about"


def _column(style: Evidence, trained: Sequence[Evidence], measured: Measured) -> list[Cell]:
    """Return the cells of one style's music, a model each."""
    corpus = measured.corpora[style.style][0] if style.style in measured.corpora else ""
    pairs = [(_sha256(model), corpus) for model in trained]
    bits = [measured.bits.get(pair) for pair in pairs]
    best = min((one for one in bits if one is not None), default=0.0)
    cells = []
    for model, pair, value in zip(trained, pairs, bits, strict=True):
        is_own = model.style == style.style
        if value is None:
            cells.append(Cell(MISSING, -1, "other classes" if pair in measured.bits else "", is_own))
            continue
        level = 0 if value <= best + _CLOSE_BITS else 1 + bisect_right(STEPS, (value - best) / best if best else 0.0)
        under = "best" if level == 0 else f"+{decimals(value - best)}" if is_own else ""
        cells.append(Cell(decimals(value), level, under, is_own))
    return cells


def _told(style: Evidence, column: Sequence[Cell], trained: Sequence[Evidence]) -> str | None:
    """Return who knows a style's music better than its own model; empty when nobody does, None when nobody else can."""
    own = next(cell for cell in column if cell.is_own)
    others = [(model, cell) for model, cell in zip(trained, column, strict=True) if not cell.is_own and cell.level >= 0]
    if own.level < 0 or not others:
        return None
    if own.level == 0:
        return ""
    best = next(model for model, cell in others if cell.level == 0)
    bits = next(cell.text for model, cell in others if model is best)
    return f"{title_of(style)}: the model of {title_of(best)} knows it best, {bits} bits a note against {own.text}."


def _sentence(n_asked: int, n_exceptions: int) -> str:
    if n_asked == 0:
        return "Nothing can be said yet: it takes two models and what they make of each other's music."
    kept = n_asked - n_exceptions
    if n_exceptions == 0:
        return f"In {'all ' if n_asked > 1 else ''}{plural(n_asked, 'style')} the own model knows its music best."
    return f"In {kept} of {plural(n_asked, 'style')} the own model knows its music best. The exceptions:"


def _legend() -> tuple[str, ...]:
    """Return what each level means, from the best on."""
    edges = [f"{step:.0%}".replace("%", " %") for step in STEPS]
    between = [f"{low} to {high} more" for low, high in pairwise(edges)]
    return (
        f"best of its column, to within {_CLOSE_BITS} bits",
        f"up to {edges[0]} more bits",
        *between,
        f"more than {edges[-1]} more",
    )
