"""`farm compose`: from a style's name or a model file to a new piece. Loads numpy, nothing heavier."""

from pathlib import Path
from typing import Any

import numpy as np

from farm.catalog.composer import Primer, Wish, compose_files, numbered
from farm.catalog.model_file import ENDING, Model, open_model
from farm.errors import FarmError, ReadError
from farm.music.encoding import Encoding, encode
from farm.storage import Storage


def compose_pieces(
    name: str, output: Path, wish: Wish, storage: Storage, primer: Path | None = None
) -> list[dict[str, Any]]:
    """Compose, write each piece to `output`, numbered where there are several, and return what each is.

    Parameters
    ----------
    name
        A style of the catalog in `storage`, or the path of a model file.
    primer
        A MIDI file or score to go on from.

    Raises
    ------
    FarmError
        When there is no such model, or a wish cannot be met.
    """
    model = open_named(name, storage)
    music = _read_primer(primer, model.encoding) if primer else None
    composed = compose_files(model, output.name, wish, music)
    told, place = [], Storage(output.resolve().parent)
    for path, (data, facts) in zip(numbered(output, wish.pieces), composed, strict=True):
        place.write_bytes(path.name, data)
        told.append({"output": str(path), **facts})
    return told


def open_named(name: str, storage: Storage) -> Model:
    """Return the model of a file, or of a published style; its hash is checked against the catalog first."""
    if name.endswith(ENDING) or Path(name).is_file():
        return open_model(Path(name))
    from farm.catalog.publish import current

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


def _read_primer(path: Path, encoding: Encoding) -> Primer:
    """Return the events of a MIDI file or score, and its metre class."""
    from farm.config import Filters
    from farm.corpus.describing import describe
    from farm.corpus.readers import read_file
    from farm.corpus.tables import note_array

    try:
        data = path.read_bytes()
    except OSError as error:
        raise FarmError(f"{path}: {error.strerror}; name a MIDI file or score as primer") from error
    try:
        reading = read_file(data, path.name)[0]
    except ReadError as error:
        raise FarmError(f"{path}: {error}; name another MIDI file or score as primer") from error
    described = describe([reading], Filters())
    (failure,) = described.facts["failure"]
    if failure:
        raise FarmError(f"{path}: {failure}; name another MIDI file or score as primer")
    is_performed = described.facts["time_base"] == ["seconds"]
    notes = note_array(described.notes, np.full(described.bounds[-1], is_performed))
    metre = None if is_performed else reading.time_signature
    return Primer(encode(notes, encoding, metre), encoding.metre_class(metre))
