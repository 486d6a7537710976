"""From an opened model and a wish to a piece, as bytes and as facts: with numpy alone, in the farm and in a pack."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from farm.catalog.model_file import Model
from farm.composing.player import Player
from farm.composing.render import Sheet, check_tempo, render
from farm.composing.sampling import compose
from farm.errors import IntegrityError
from farm.music.encoding import decode

DEFAULT_NOTES = 200
_DEFAULT_BPM = 100.0


@dataclass(frozen=True)
class Wish:
    """What a piece shall be; `notes` or `bars` says how long, `tempo_bpm` None is the corpus's own.

    Of several `pieces` the first has the seed, the second the next, and so on; each is what it would be alone.
    """

    notes: int | None = None
    bars: int | None = None
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 0.95
    transpose: int = 0
    tempo_bpm: float | None = None
    pieces: int = 1
    soundfont: Path | None = None


class Primer(NamedTuple):
    """Music to go on from: its events and the class of its metre."""

    events: np.ndarray
    metre: int


def compose_file(model: Model, name: str, wish: Wish, primer: Primer | None = None) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a composed file, MIDI, MusicXML or WAV by the ending of `name`, and what the piece is.

    Of several pieces that are wished the first; the rest as `compose_files`.
    """
    return next(compose_files(model, name, wish, primer))


def compose_files(
    model: Model, name: str, wish: Wish, primer: Primer | None = None
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield, for each piece that is wished, what `compose_file` returns for one; composed side by side.

    Raises
    ------
    FarmError
        When a wish cannot be met.
    """
    for notes, sheet, facts in composed(model, wish, primer):
        yield render(notes, name, sheet, transpose=wish.transpose, soundfont=wish.soundfont), facts


def composed(
    model: Model, wish: Wish, primer: Primer | None = None
) -> Iterator[tuple[np.ndarray, Sheet, dict[str, Any]]]:
    """Yield for each piece its notes, not transposed yet, what its score is headed with, and what it is.

    Raises
    ------
    FarmError
        When a wish cannot be met.
    """
    usual_metre, usual_bpm = usual_time(model)
    metre = primer.metre if primer else model.encoding.metre_class(usual_metre)
    length = DEFAULT_NOTES if wish.notes is None and wish.bars is None else wish.notes
    pieces = compose(
        player_of(model),
        model.encoding,
        notes=length,
        bars=wish.bars,
        seed=wish.seed,
        temperature=wish.temperature,
        top_p=wish.top_p,
        metre=metre,
        count=wish.pieces,
        primer=primer.events if primer else None,
    )
    tempo_bpm = float(usual_bpm if wish.tempo_bpm is None else wish.tempo_bpm)
    check_tempo("compose", tempo_bpm)
    metre_name = model.encoding.metres[metre]
    title = str(model.card.get("title") or model.card.get("style") or "")
    sheet = Sheet(title=title, tempo_bpm=tempo_bpm, time_signature=metre_name if "/" in metre_name else "4/4")
    bar_beats = model.encoding.bar_steps(metre) / model.encoding.steps_per_beat
    for number, piece in enumerate(pieces):
        notes = decode(piece.events, model.encoding)
        end_beat = float((notes["onset_beat"] + notes["duration_beat"]).max()) if len(notes) else 0.0
        yield (
            notes,
            sheet,
            {
                "style": model.card.get("style"),
                "model_sha256": model.sha256,
                "seed": wish.seed + number,
                "notes": len(notes),
                "bars": int(np.ceil(end_beat / bar_beats)),
                "seconds": end_beat * 60 / tempo_bpm,
                "stopped": piece.stopped,
                "ending": "ended by itself" if piece.stopped else "ended at the asked length",
                "interventions": piece.interventions,
            },
        )


def numbered(output: Path, pieces: int) -> list[Path]:
    """Return the file of each piece: `output` itself for one, else with -1, -2 and so on before the ending.

    Examples
    --------
    >>> [path.name for path in numbered(Path("bach.mid"), 2)]
    ['bach-1.mid', 'bach-2.mid']
    """
    if pieces == 1:
        return [output]
    return [output.with_name(f"{output.stem}-{number}{output.suffix}") for number in range(1, pieces + 1)]


def player_of(model: Model) -> Player:
    """Return the network of a model, to be played; IntegrityError, with the file's name, where its parts do not fit."""
    try:
        return Player(model.architecture, model.encoding, model.weights)
    except IntegrityError as error:
        raise IntegrityError(f"{model.name}: {error}") from error


def usual_time(model: Model) -> tuple[str | None, float]:
    """Return the metre and tempo that a model's card names as the usual ones of its corpus."""
    own = model.card.get("composing", {})
    metre, tempo_bpm = (own.get("metre"), own.get("tempo_bpm")) if isinstance(own, dict) else (0, 0)
    if not isinstance(metre, str | None) or not isinstance(tempo_bpm, int | float | None):
        raise IntegrityError(f"{model.name}: its card names no metre and tempo to compose in; get the file again")
    return metre, float(tempo_bpm or _DEFAULT_BPM)


def told(output: str, facts: dict[str, Any]) -> str:
    """Return in a line what was composed."""
    length = f"{facts['notes']} notes, {facts['bars']} bars, {facts['seconds']:.0f} s of music"
    return f"{output}: {length}, {facts['ending']}"
