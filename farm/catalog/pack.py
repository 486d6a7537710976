"""The pack: a folder with the approved models, their licences and how to use them, for the author of an app.

Conventions
-----------
Equal catalogs and arguments give equal bytes: a pack holds no dates and no paths of the machine. The budget
counts every file of the pack. A pack is built beside its place and moved there when it is whole.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.catalog import pack_texts
from farm.catalog.budget import Option, choose, inside_page, ranked, with_scripts
from farm.catalog.compose_zip import NAME as COMPOSE
from farm.catalog.compose_zip import compose_zip
from farm.catalog.exports import FORMATS, example, exported
from farm.catalog.page import PAGE, compose_page
from farm.catalog.page_script import model_script, script_bytes, script_name
from farm.catalog.precision import PRECISIONS
from farm.catalog.publish import SHIPPED, current
from farm.catalog.shippable import LeftOut, options_of, shippable
from farm.catalog.verify import CATALOG, SUMS, listed_files, sums_text
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

    Returns
    -------
    `out`, `bytes` (all files), `models` (style, version, format, precision, file, bytes, sha256, in_page) and
    `left_out` (style, why).

    Raises
    ------
    FarmError
        When nothing can ship (with every reason), for an unknown style, precision or format, or when `out` is not
        free to be replaced.
    IntegrityError
        When a published file is not as it was published.
    """
    _check(precision, formats)
    _check_place(out)
    catalog = current(storage)
    if catalog is None:
        raise FarmError(f"{storage.root}: nothing is published yet; run 'farm run corpora.yaml' first")
    ready, left_out = shippable(catalog, styles)
    options, too_large = options_of(ready, precision)
    left_out += too_large
    source = _Source(storage, [kind for kind in FORMATS[1:] if kind in formats])
    files = _fitting(ready, options, left_out, budget_bytes, embed, source)
    _replace(out, files)
    pack = json.loads(files[CATALOG])
    models = [
        {"style": model["style"], "version": model["version"], "file": file["path"], "format": file["role"]}
        | {key: file[key] for key in ("precision", "bytes", "sha256")}
        | {"in_page": script_name(model["style"]) in files}
        for model in pack["models"]
        for file in model["files"]
    ]
    total = sum(len(data) for data in files.values())
    return {"out": str(out), "bytes": total, "models": models, "left_out": pack["left_out"]}


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
            if over <= 0:
                return files
            texts_bytes += over
    reasons = [f"{option.style}: no room within {budget_bytes} bytes" for option in order]
    reasons += [f"{item.style}: {item.why}" for item in _sorted(left_out)]
    raise FarmError("\n  ".join(["nothing can be shipped:", *(reasons or ["the catalog has no model"])]))


def _sorted(left_out: Sequence[LeftOut]) -> list[LeftOut]:
    return sorted(left_out, key=lambda item: item.style)


def _files(
    ready: Mapping[str, dict[str, Any]],
    chosen: Mapping[str, str],
    inside: Sequence[str],
    left_out: Sequence[LeftOut],
    source: "_Source",
) -> dict[str, bytes]:
    """Return every file of a pack by its name, SHA256SUMS last."""
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
    catalog = {"schema": 1, "pack": 1, "models": models, "left_out": out_of_it}
    text = json.dumps(catalog, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    files[CATALOG] = text.encode()
    files[COMPOSE] = compose_zip()
    files |= dict(example(kind) for kind in source.exports)
    files[PAGE] = compose_page(models, inside)
    files["README.md"] = pack_texts.readme(models, inside).encode()
    files["LICENCES.md"] = pack_texts.licences(models).encode()
    for model in models:
        files[f"cards/{model['style']}.md"] = pack_texts.card(model).encode()
    files[SUMS] = sums_text({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}).encode()
    return files


class _Source:
    """Where the files of a pack's models come from: the published one, checked, and what is made of it, once."""

    def __init__(self, storage: Storage, exports: Sequence[str]) -> None:
        self.exports = exports
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


def _check_place(out: Path) -> None:
    """Raise FarmError unless replacing `out` destroys nothing but an old pack."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FarmError(f"{out}: is no folder; give the name of a new one")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / SUMS).is_file() or not (out / CATALOG).is_file():
        raise FarmError(f"{out}: is not empty and no pack; give the name of a new folder")
    own = {*listed_files(out), SUMS}
    foreign = sorted(str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir())
    foreign = [name for name in foreign if name not in own]
    if foreign:
        raise FarmError(
            f"{out}: holds {', '.join(foreign[:5])}, no part of the pack; move it away or give a new folder"
        )


def _replace(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the pack beside its place, then move it there; the old one goes when the new one stands."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name[:80]}.", suffix=".tmp", dir=out.parent))
    try:
        place = Storage(fresh)
        for name, data in files.items():
            place.write_bytes(name, data)
        fresh.chmod(0o755)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name[:80]}.", suffix=".old", dir=out.parent))
            out.rename(old / out.name)
            fresh.rename(out)
            shutil.rmtree(old)
        else:
            fresh.rename(out)
    except OSError as error:
        raise FarmError(f"{out}: {error.strerror or error}; free space or give another folder") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
