"""A model file's step in other formats, for a pack: what each is made by, and what the pack's catalog says of it.

Conventions
-----------
An export holds the numbers of the model file beside it, so its `precision` and `weights_sha256` are that file's. What
an app must know to drive it (`farm.catalog.step`) stands beside its hash: the fields in order, the START event that
comes first, in the usual metre of the style, and the encoding.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.catalog.composer import usual_time
from farm.catalog.model_file import ENDING, open_model, stored
from farm.music.encoding import PREDICTED

FORMATS = ("model", "onnx", "tflite")

_EXAMPLES = Path(__file__).parent / "examples"


def exported(file: Mapping[str, Any], data: bytes, kind: str) -> tuple[dict[str, Any], bytes]:
    """Return what a catalog says of an export, and its bytes.

    Parameters
    ----------
    file, data
        The model file, as the pack's catalog has it, and its bytes.
    kind
        One of `FORMATS` but the first.
    """
    model = open_model(data, file["sha256"], name=file["path"])
    if kind == "onnx":
        from farm.catalog.onnx_export import onnx_model

        made = onnx_model(model, stored(data))
    else:
        from farm.catalog.tflite_export import tflite_model

        made = tflite_model(model, stored(data))
    metre = model.encoding.metre_class(usual_time(model)[0])
    sizes = model.encoding.n_classes
    return {
        "role": kind,
        "precision": file["precision"],
        "weights_sha256": file["weights_sha256"],
        "path": f"{file['path'].removesuffix(ENDING)}.{kind}",
        "bytes": len(made),
        "sha256": hashlib.sha256(made).hexdigest(),
        "fields": [name for name in PREDICTED if name in model.encoding.fields],
        "start": [*(sizes[name] for name in model.encoding.fields), metre],
        "encoding": model.encoding.to_json(),
    }, made


def example(kind: str) -> tuple[str, bytes]:
    """Return name and text of the program in a pack that shows how an export is driven."""
    name = f"{kind}_step.py"
    return f"examples/{name}", (_EXAMPLES / name).read_bytes()
