"""`farm compose`: from a style's name or a model file to a new piece. Loads numpy and safetensors, nothing heavier."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farm.catalog.model_file import ENDING, Model, open_model
from farm.catalog.publish import current
from farm.composing.player import Player
from farm.composing.render import Sheet, render
from farm.composing.sampling import compose
from farm.errors import FarmError
from farm.music.encoding import Encoding, decode, encode
from farm.storage import Storage

_DEFAULT_NOTES = 200


@dataclass(frozen=True)
class Wish:
    """What a piece shall be; `notes` or `bars` says how long, `tempo_bpm` None is the corpus's own."""

    notes: int | None
    bars: int | None
    seed: int
    temperature: float
    top_p: float
    primer: Path | None
    transpose: int
    tempo_bpm: float | None


def compose_piece(name: str, output: Path, wish: Wish, storage: Storage) -> dict[str, Any]:
    """Compose one piece, write it to `output`, and return what it is.

    Parameters
    ----------
    name
        A style of the catalog in `storage`, or the path of a model file.

    Raises
    ------
    FarmError
        When there is no such model, or a wish cannot be met.
    """
    model = open_named(name, storage)
    own = model.card.get("composing", {})
    primer, metre = None, model.encoding.metre_class(own.get("metre"))
    if wish.primer is not None:
        primer, metre = _read_primer(wish.primer, model.encoding)
    length = _DEFAULT_NOTES if wish.notes is None and wish.bars is None else wish.notes
    (piece,) = compose(
        Player(model.architecture, model.encoding, model.weights),
        model.encoding,
        notes=length,
        bars=wish.bars,
        seed=wish.seed,
        temperature=wish.temperature,
        top_p=wish.top_p,
        metre=metre,
        primer=primer,
    )
    notes = decode(piece.events, model.encoding)
    tempo_bpm = float(wish.tempo_bpm or own.get("tempo_bpm") or 100)
    metre_name = model.encoding.metres[metre]
    title = str(model.card.get("title") or model.card.get("style") or "")
    sheet = Sheet(title=title, tempo_bpm=tempo_bpm, time_signature=metre_name if "/" in metre_name else "4/4")
    data = render(notes, output.name, sheet, transpose=wish.transpose)
    Storage(output.resolve().parent).write_bytes(output.name, data)
    end_beat = float((notes["onset_beat"] + notes["duration_beat"]).max()) if len(notes) else 0.0
    bar_beats = model.encoding.bar_steps(metre) / model.encoding.steps_per_beat
    return {
        "output": str(output),
        "style": model.card.get("style"),
        "model_sha256": model.sha256,
        "seed": wish.seed,
        "notes": len(notes),
        "bars": int(np.ceil(end_beat / bar_beats)),
        "seconds": end_beat * 60 / tempo_bpm,
        "stopped": piece.stopped,
        "ending": "ended by itself" if piece.stopped else "ended at the asked length",
        "interventions": piece.interventions,
    }


def open_named(name: str, storage: Storage) -> Model:
    """Return the model of a file, or of a published style; its hash is checked against the catalog first."""
    if name.endswith(ENDING) or Path(name).is_file():
        return open_model(Path(name))
    catalog = current(storage)
    if catalog is None:
        raise FarmError(f"{storage.root}: nothing is published yet; run 'farm run corpora.yaml' first")
    models = {model["style"]: model for model in catalog["models"]}
    if name not in models:
        raise FarmError(
            f"{name}: no such style; {storage.root} has {', '.join(models) or 'none'}, or name a model file"
        )
    file = models[name]["files"][0]
    key = file["path"]
    return open_model(storage.read_bytes(key), file["sha256"], name=storage.address(key))


def _read_primer(path: Path, encoding: Encoding) -> tuple[np.ndarray, int]:
    """Return the events of a MIDI file or score, and its metre class."""
    from farm.config import Filters
    from farm.corpus.describing import describe
    from farm.corpus.readers import read_file
    from farm.corpus.tables import note_array

    try:
        data = path.read_bytes()
    except OSError as error:
        raise FarmError(f"{path}: {error.strerror}; name a MIDI file or score as primer") from error
    reading = read_file(data, path.name)[0]
    described = describe([reading], Filters())
    (failure,) = described.facts["failure"]
    if failure:
        raise FarmError(f"{path}: {failure}; name another MIDI file or score as primer")
    is_performed = described.facts["time_base"] == ["seconds"]
    notes = note_array(described.notes, np.full(described.bounds[-1], is_performed))
    metre = None if is_performed else reading.time_signature
    return encode(notes, encoding, metre), encoding.metre_class(metre)
