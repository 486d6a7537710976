"""The pack: a folder with the approved models, their licences and how to use them, for the author of an app.

Conventions
-----------
Equal catalogs and arguments give equal bytes: a pack holds no dates and no paths of the machine. The budget
counts every file of the pack, a signature too.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm import layout
from farm.catalog import pack_texts
from farm.catalog.budget import Option, choose, inside_page, ranked, with_scripts
from farm.catalog.compose_zip import NAME as COMPOSE
from farm.catalog.compose_zip import compose_zip
from farm.catalog.exports import FORMATS, example, exported
from farm.catalog.model_file import ENDING
from farm.catalog.pack_order import pack_number
from farm.catalog.pack_place import check_order, check_place, replace
from farm.catalog.page import PAGE, compose_page
from farm.catalog.page_script import SCRIPTS, model_script, script_bytes, script_name
from farm.catalog.precision import PRECISIONS
from farm.catalog.publish import SHIPPED, current
from farm.catalog.shippable import LeftOut, options_of, shippable
from farm.catalog.signing import SIGNATURE, Signer
from farm.catalog.verify import CATALOG, SUMS, sums_text
from farm.errors import FarmError, IntegrityError
from farm.storage import Storage

_ARTIFACTS_ONLY = ("decisions", "samples", "run", "recipes", "priority", "max_bytes")
"""What an entry says about files that stay in the artifacts folder, or about the farm's own planning."""


def ship(
    storage: Storage,
    out: Path,
    *,
    styles: Sequence[str] | None = None,
    budget_bytes: int | None = None,
    precision: str = "float32",
    formats: Sequence[str] = FORMATS[:1],
    embed: bool = True,
    signer: Signer | None = None,
) -> dict[str, Any]:
    """Write a pack of the approved models to the folder `out` and return what is in it and what is not.

    Parameters
    ----------
    out
        A folder that does not exist, is empty, or is a pack; that pack is replaced.
    styles
        The styles to ship; all when None.
    budget_bytes
        The most that the whole folder may hold; no limit when None.
    precision
        The best precision to ship; a budget or a style's `max_bytes` may lower it.
    formats
        In what a model ships: as `model`, always, and as `onnx` and `tflite` where asked for.
    embed
        Whether models go into the page too, as many as the budget allows; the page asks for the files of the others.
    signer
        Who signs the pack; nobody when None.

    Returns
    -------
    `out`, `bytes` (all files), `models` (style, version, format, precision, file, bytes, sha256, in_page),
    `left_out` (style, why), `number` and `signed_by` (the id of the key, or None).

    Raises
    ------
    FarmError
        When nothing can ship (with every reason), for an unknown style, precision or format, or when `out` is not
        free to be replaced: by anything, or by an older pack or another farm's.
    IntegrityError
        When a published file is not as it was published.
    """
    _check(precision, formats)
    check_place(out)
    number = pack_number(storage.read_lines(layout.DECISIONS))  # before the catalog, so that it is never too high
    catalog = current(storage)
    if catalog is None:
        raise FarmError(f"{storage.root}: nothing is published yet; run 'farm run corpora.yaml' first")
    ready, left_out = shippable(catalog, styles)
    options, too_large = options_of(ready, precision)
    left_out += too_large
    source = _Source(storage, [kind for kind in FORMATS[1:] if kind in formats], number, signer)
    files = _fitting(ready, options, left_out, budget_bytes, embed, source)
    pack = json.loads(files[CATALOG])
    check_order(out, pack)
    replace(out, files)
    models = [
        {"style": model["style"], "version": model["version"], "file": file["path"], "format": file["role"]}
        | {key: file[key] for key in ("precision", "bytes", "sha256")}
        | {"in_page": script_name(model["style"]) in files}
        for model in pack["models"]
        for file in model["files"]
    ]
    total = sum(len(data) for data in files.values())
    about = {"number": number, "signed_by": signer.key_id if signer else None}
    return {"out": str(out), "bytes": total, "models": models, "left_out": pack["left_out"], **about}


def _fitting(
    ready: Mapping[str, dict[str, Any]],
    options: Sequence[Option],
    left_out: Sequence[LeftOut],
    budget_bytes: int | None,
    embed: bool,
    source: "_Source",
) -> dict[str, bytes]:
    """Return the files of the pack whose sizes together stay within the budget, by name.

    The texts count too, and what they say depends on the choice: with ever fewer styles, and within each number
    with ever less room for the models, the first choice whose pack fits is taken.
    """
    order = ranked(options)
    for count in range(len(order), 0, -1):
        dropped = [
            LeftOut(option.style, f"no room within {budget_bytes} bytes; its smallest file has {option.sizes[-1][1]}")
            for option in order[count:]
        ]
        texts_bytes = 0
        while True:
            room = None if budget_bytes is None else budget_bytes - texts_bytes
            inside = inside_page(order[:count], room, script_bytes) if embed else []
            chosen = choose(with_scripts(order[:count], inside, script_bytes), room)
            if len(chosen) < count:
                break
            files = _files(ready, chosen, inside, _sorted([*left_out, *dropped]), source)
            over = 0 if budget_bytes is None else sum(len(data) for data in files.values()) - budget_bytes
            if budget_bytes is None or over <= 0:
                return files
            # Exports are not in the sizes that are chosen from, and shrink with them: those are approached in steps.
            step = max(over, budget_bytes // 200) if source.exports else over
            texts_bytes = max(texts_bytes + step, _texts_bytes(files, source.exports))
    reasons = [f"{option.style}: no room within {budget_bytes} bytes" for option in order]
    reasons += [f"{item.style}: {item.why}" for item in _sorted(left_out)]
    raise FarmError("\n  ".join(["nothing can be shipped:", *(reasons or ["the catalog has no model"])]))


def _texts_bytes(files: Mapping[str, bytes], exports: Sequence[str]) -> int:
    """Return the size of what a pack holds beside its models and their copies in other forms."""
    ends = (ENDING, *(f".{kind}" for kind in exports))
    return sum(len(data) for name, data in files.items() if not name.endswith(ends) and not name.startswith(SCRIPTS))


def _sorted(left_out: Sequence[LeftOut]) -> list[LeftOut]:
    return sorted(left_out, key=lambda item: item.style)


def _files(
    ready: Mapping[str, dict[str, Any]],
    chosen: Mapping[str, str],
    inside: Sequence[str],
    left_out: Sequence[LeftOut],
    source: "_Source",
) -> dict[str, bytes]:
    """Return every file of a pack by its name, SHA256SUMS last, and after it the signature."""
    files: dict[str, bytes] = {}
    models = []
    for style in sorted(chosen):
        entry = ready[style]
        file = next(file for file in entry["files"] if file["precision"] == chosen[style] and file["role"] == "model")
        shipped = source.files(file)
        files |= {about["path"]: data for about, data in shipped}
        if style in inside:
            files[script_name(style)] = model_script(style, shipped[0][1])
        told = {key: value for key, value in entry.items() if key not in _ARTIFACTS_ONLY}
        models.append({**told, "status": SHIPPED, "files": [about for about, _ in shipped]})
    out_of_it = [{"style": item.style, "why": item.why} for item in left_out]
    order = {"number": source.number, "origin_sha256": source.origin_sha256}
    catalog = {"schema": 1, "pack": 1, **order, "models": models, "left_out": out_of_it}
    text = json.dumps(catalog, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    files[CATALOG] = text.encode()
    files[COMPOSE] = compose_zip()
    files |= dict(example(kind) for kind in source.exports)
    files[PAGE] = compose_page(models, inside)
    signer = source.signer
    files["README.md"] = pack_texts.readme(models, inside, signer.key_id if signer else None).encode()
    files["LICENCES.md"] = pack_texts.licences(models).encode()
    for model in models:
        files[f"cards/{model['style']}.md"] = pack_texts.card(model).encode()
    files[SUMS] = sums_text({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}).encode()
    if signer is not None:
        files[SIGNATURE] = signer.signature(files[SUMS], f"pack {source.number} of farm {source.origin_sha256}")
    return files


class _Source:
    """Where a pack comes from: its farm and number, who signs it, and its models' files.

    Of a model there is the published file, checked, and what is made of it, once.
    """

    def __init__(self, storage: Storage, exports: Sequence[str], number: int, signer: Signer | None) -> None:
        self.exports, self.number, self.signer = exports, number, signer
        self.origin_sha256 = hashlib.sha256(storage.read_bytes(layout.catalog_numbered(1))).hexdigest()
        self._storage = storage
        self._made: dict[str, list[tuple[dict[str, Any], bytes]]] = {}

    def files(self, file: Mapping[str, Any]) -> list[tuple[dict[str, Any], bytes]]:
        """Return what the pack's catalog says of each file of a model, the model file first, and its bytes."""
        if file["sha256"] not in self._made:
            data = self._storage.read_bytes(file["path"])
            if hashlib.sha256(data).hexdigest() != file["sha256"]:
                raise IntegrityError(
                    f"{self._storage.address(file['path'])}: is not the file that was published; run 'farm verify'"
                )
            own = {**file, "path": file["path"].rsplit("/", 1)[-1]}
            made = [exported(own, data, kind) for kind in self.exports]
            self._made[file["sha256"]] = [(own, data), *made]
        return self._made[file["sha256"]]


def _check(precision: str, formats: Sequence[str]) -> None:
    if precision not in PRECISIONS:
        raise FarmError(f"precision {precision!r} is unknown; give one of {', '.join(PRECISIONS)}")
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise FarmError(f"format {', '.join(unknown) or 'none'} cannot be shipped; there is {', '.join(FORMATS)}")
    if FORMATS[0] not in formats:
        raise FarmError(f"a pack holds the model files themselves always; give {FORMATS[0]},{','.join(formats)}")
