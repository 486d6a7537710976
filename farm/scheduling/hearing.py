"""What a base may hear, and whether it may stay: pure, rows and sets in, reasons out.

A base hears the training pieces of its styles: never what any style holds out, nor anything akin to that, or no
held-out number would mean anything. It leaves out sources whose licence nobody knows, for it would keep every model
from shipping; when no licence is known at all nothing could ship anyhow, and it hears them all. A style too small to
hold whole pieces out is judged on the last bars of its pieces: of those the base hears all but the last bars.

A base that is there stays for as long as all that it heard is still allowed: another one would train every style anew.

Conventions
-----------
A piece is named `style/piece_id`. Families are those of all pieces of all styles together.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from farm.catalog.entry import is_unknown

HELD_OUT, AKIN, UNLICENSED, TWICE, OTHER_STYLE = (
    "held out",
    "akin to a held-out piece",
    "licence unknown",
    "heard already",
    "a style that it does not hear",
)
"""Why a piece is left out."""

Source = tuple[str, str]
"""A style, and one of its sources as the pieces table names it."""


@dataclass(frozen=True)
class Piece:
    """One piece of any style.

    Attributes
    ----------
    content
        Equal for pieces with the same notes in any key.
    is_cut
        Its last bars are held out, for its style holds no whole piece out.
    """

    style: str
    piece_id: str
    source: str
    content: str
    family: int
    is_heldout: bool = False
    is_cut: bool = False

    @property
    def name(self) -> str:
        return f"{self.style}/{self.piece_id}"


def reasons_not_to_hear(pieces: Sequence[Piece], hears: Collection[str], licences: Mapping[Source, str]) -> list[str]:
    """Return for each piece why a base does not hear it, empty where it does.

    Parameters
    ----------
    pieces
        All pieces of all styles; of equal ones the first that may be heard is.
    hears
        The styles whose pieces it may hear.
    licences
        By source; one that is missing is unknown.
    """
    heldout = {piece.family for piece in pieces if piece.is_heldout}
    cut = {(piece.family, piece.style) for piece in pieces if piece.is_cut}
    cut_families = {family for family, _ in cut}
    choosy = _some_are_known(pieces, hears, licences)
    heard: set[str] = set()
    reasons = []
    for piece in pieces:
        if piece.is_heldout:
            reason = HELD_OUT
        elif piece.style not in hears:
            reason = OTHER_STYLE
        elif piece.family in heldout or (piece.family in cut_families and (piece.family, piece.style) not in cut):
            reason = AKIN
        elif choosy and is_unknown(licences.get((piece.style, piece.source))):
            reason = UNLICENSED
        else:
            reason = TWICE if piece.content in heard else ""
            heard.add(piece.content)
        reasons.append(reason)
    return reasons


def _some_are_known(pieces: Sequence[Piece], hears: Collection[str], licences: Mapping[Source, str]) -> bool:
    """Tell whether there is music under a known licence to hear: only then is any left out for want of one."""
    return any(not is_unknown(licences.get((piece.style, piece.source))) for piece in pieces if piece.style in hears)


@dataclass(frozen=True)
class Heard:
    """What a base was made of.

    Attributes
    ----------
    pieces
        The content of each piece that it heard, by name.
    cut
        Those of them of which it did not hear the last bars.
    sources
        The licence of each source that it heard, as it was then.
    """

    recipe: str
    seed: int
    code: str
    wish: str
    has_velocity: bool
    pieces: Mapping[str, str]
    sources: Mapping[Source, str]
    cut: Collection[str] = ()


@dataclass(frozen=True)
class Now:
    """What a base made now would be made of.

    Attributes
    ----------
    pieces
        All pieces of all styles that could be read.
    licences
        Of all sources that the farm names, whether they could be read or not.
    """

    recipe: str
    seed: int
    code: str
    wish: str
    has_velocity: bool
    hears: Collection[str]
    pieces: Sequence[Piece]
    licences: Mapping[Source, str]


def base_is_stale(heard: Heard, now: Now) -> str | None:
    """Return why a base may not stay, None when it may.

    New music does not make it stale, nor does music that is gone: only what it heard and should not have heard.
    """
    named = ("recipe", "its recipe"), ("seed", "the seed"), ("code", "the farm's code"), ("wish", "the list of styles")
    for name, words in named:
        if getattr(heard, name) != getattr(now, name):
            return f"{words} changed"
    if now.has_velocity and not heard.has_velocity:
        return "a style has velocities now, which the base does not know"
    return _not_allowed(heard, now) or _not_held_out(heard, now.pieces)


def _not_allowed(heard: Heard, now: Now) -> str | None:
    """Return which of the sources it may not have heard, None for none."""
    licences = now.licences
    styles = {style for style, _ in licences}
    for style, source in heard.sources:
        if style not in styles:
            return f"it heard the style {style}, which was removed"
        if (style, source) not in licences:
            return f"it heard {source} of {style}, which was removed"
    unknown = [source for source in heard.sources if is_unknown(licences[source])]
    if unknown and _some_are_known(now.pieces, now.hears, licences):
        style, source = unknown[0]
        return f"it heard {source} of {style}, whose licence is unknown"
    return None


def _not_held_out(heard: Heard, pieces: Sequence[Piece]) -> str | None:
    """Return which piece it heard that is held out now, or akin to one that is; None for none."""
    contents = {piece.content: piece.name for piece in pieces if piece.is_heldout}
    families = {piece.family: piece.name for piece in pieces if piece.is_heldout}
    family = {piece.name: piece.family for piece in pieces}
    cut = {piece.name for piece in pieces if piece.is_cut}
    for name, content in heard.pieces.items():
        if content in contents:
            return f"it heard {name}, which is held out now as {contents[content]}"
        if name in family and family[name] in families:
            return f"it heard {name}, akin to {families[family[name]]}, which is held out now"
        if name in cut and name not in heard.cut:
            return f"it heard {name} to its end, and its last bars are held out now"
    return None
