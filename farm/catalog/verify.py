"""Checks a model file, a catalog or a pack: every hash, and every file that is missing, extra or swapped.

Conventions
-----------
A problem is one sentence that begins with the file's name. No problem means that every hash holds. What is
checked may come from anywhere: names that lead out of the folder and links are problems, and are not followed.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from farm import layout
from farm.catalog.model_file import ENDING, open_model
from farm.catalog.page_script import SCRIPTS, model_script, script_name
from farm.catalog.signing import SIGNATURE
from farm.composing.player import Player
from farm.errors import FarmError
from farm.storage import Storage
from farm.stores.store import is_address

CATALOG = "catalog.json"
SUMS = "SHA256SUMS"

_SUM_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_CURRENT_LINE = re.compile(r"catalog-([1-9]\d{0,8})\.json ([0-9a-f]{64})")


def verify(place: Path | str) -> list[str]:
    """Return what is wrong with a model file, an artifacts or catalog folder, or a pack; empty when all is well.

    Of artifacts at an address the catalog is copied to this machine first.
    """
    if is_address(place):
        return _problems_at(Storage(str(place).rstrip("/").removesuffix(f"/{layout.CATALOG}")))
    path = Path(place)
    if path.is_file():
        return _model_problems(path, path.name, None)
    if is_pack(path):
        return _pack_problems(path)
    for root in (path, path.parent):
        if (root / layout.CATALOG).is_dir() and (root == path or path.name == layout.CATALOG):
            return _catalog_problems(root)
    what = "is neither a model file, a catalog nor a pack" if path.exists() else "is missing"
    return [f"{path}: {what}; give a *{ENDING} file, an artifacts folder or what 'farm ship' wrote"]


def is_pack(path: Path) -> bool:
    """Return whether a folder is to be taken for a pack, be it a broken one."""
    return (path / SUMS).exists() or (path / CATALOG).exists()


def listed_files(pack: Path) -> dict[str, str]:
    """Return the hashes that a pack's SHA256SUMS names, by file; lines that name no file inside are left out."""
    lines = _read(pack / SUMS).decode("utf-8", "replace").splitlines()
    matches = (_SUM_LINE.fullmatch(line) for line in lines)
    return {match[2]: match[1] for match in matches if match and _is_inside(match[2])}


def sums_text(digests: Mapping[str, str]) -> str:
    """Return a pack's SHA256SUMS, as `sha256sum -c` reads it, from the hashes of its files."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def _pack_problems(pack: Path) -> list[str]:
    if not (pack / SUMS).is_file():
        return [f"{SUMS}: is missing; get the pack again"]
    sums = listed_files(pack)
    problems = []
    if _read(pack / SUMS) != sums_text(sums).encode():
        n_lines = len(_read(pack / SUMS).splitlines())
        problems.append(f"{SUMS}: is not as it was written; of its {n_lines} lines {len(sums)} name a file of the pack")
    owners: dict[str, str] = {digest: name for name, digest in sums.items()}
    for name, digest in sorted(sums.items()):
        problems += _file_problems(pack / name, name, digest, SUMS, owners)
    found = {
        str(PurePosixPath(file.relative_to(pack))) for file in pack.rglob("*") if not file.is_dir() or file.is_symlink()
    }
    unlisted = {SUMS} if (pack / SIGNATURE).is_symlink() else {SUMS, SIGNATURE}  # it signs the list, so it is not in it
    problems += [f"{name}: is extra, {SUMS} does not name it" for name in sorted(found - sums.keys() - unlisted)]
    if CATALOG not in sums:
        return [*problems, f"{CATALOG}: {SUMS} does not name it"]
    if any(problem.startswith(f"{CATALOG}:") for problem in problems):
        return problems
    named = _named_files(_parsed(pack / CATALOG, problems), problems, CATALOG)
    for name, (digest, style) in named.items():
        if sums.get(name) != digest:
            problems.append(f"{name}: {CATALOG} and {SUMS} give it different hashes")
        elif name.endswith(ENDING) and not any(problem.startswith(f"{name}:") for problem in problems):
            problems += _model_problems(pack / name, name, digest, style)
    scripts = [name for name in sorted(sums) if name.startswith(SCRIPTS)]
    if not problems:
        of_style = {style: name for name, (_, style) in named.items() if name.endswith(ENDING)}
        problems += _script_problems(pack, scripts, of_style)
    models = {name for name in sums if name.endswith(ENDING)}
    return problems + [f"{name}: is extra, {CATALOG} does not name it" for name in sorted(models - named.keys())]


def _script_problems(pack: Path, scripts: list[str], models: Mapping[str, str]) -> list[str]:
    """Return which scripts of the page do not hold the file of a model; `models` names the file of each style."""
    problems = []
    styles = {script_name(style): style for style in models}
    for name in scripts:
        style = styles.get(name)
        if style is None:
            problems.append(f"{name}: is extra, {CATALOG} names no model for it")
        elif _read(pack / name) != model_script(style, _read(pack / models[style])):
            problems.append(f"{name}: does not hold the bytes of {models[style]}")
    return problems


def _problems_at(storage: Storage) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="farm-verify-") as copy:
        for key in storage.walk(layout.CATALOG):
            if not _is_inside(key):
                return [f"{key}: is no name that a farm gives; delete it"]
            file = Path(copy, key)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(storage.read_bytes(key))
        return _catalog_problems(Path(copy))


def _catalog_problems(root: Path) -> list[str]:
    """Follow the chain of catalogs from CURRENT to the first, and check every file that any of them names."""
    problems: list[str] = []
    if not (root / layout.CURRENT).is_file():
        return [f"{layout.CURRENT}: is missing; nothing is published here, or it was lost"]
    match = _CURRENT_LINE.fullmatch(_read(root / layout.CURRENT).decode("utf-8", "replace").strip())
    if match is None:
        return [f"{layout.CURRENT}: names no catalog with its hash"]
    number, digest, told_by = int(match[1]), match[2], layout.CURRENT
    named: dict[str, tuple[str, str]] = {}
    while True:
        key = layout.catalog_numbered(number)
        broken = _file_problems(root / key, key, digest, told_by, {})
        if broken:
            problems += [*broken, *([f"{key}: the catalogs before it cannot be checked"] if number > 1 else [])]
            break
        catalog = _parsed(root / key, problems)
        named = {**_named_files(catalog, problems, key), **named}
        previous = catalog.get("previous_sha256")
        if catalog.get("number") != number or (previous is None) != (number == 1):
            problems.append(f"{key}: does not follow the catalog before it")
            break
        if previous is None:
            break
        number, digest, told_by = number - 1, str(previous), key
    owners = {digest: name for name, (digest, _) in named.items()}
    for name, (digest, style) in sorted(named.items()):
        broken = _file_problems(root / name, name, digest, "the catalog", owners)
        problems += broken or _model_problems(root / name, name, digest, style)
    for file in sorted((root / layout.OBJECTS).rglob("*")):
        name = str(PurePosixPath(file.relative_to(root)))
        if name in named or file.is_dir() or file.name.startswith("."):
            continue
        # A run that was killed before its catalog leaves whole files under their hash; those harm nobody.
        if file.is_symlink() or not hashlib.sha256(_read(file)).hexdigest().startswith(file.parent.name):
            problems.append(f"{name}: is extra, no catalog names it")
    return problems


def _file_problems(file: Path, name: str, digest: str, by: str, owners: Mapping[str, str]) -> list[str]:
    """Return why a file lacks the hash that `by` gives it; `owners` tells whose bytes it may have instead."""
    if file.is_symlink():
        return [f"{name}: is a link, expected a file"]
    if not file.is_file():
        return [f"{name}: is missing"]
    found = hashlib.sha256(_read(file)).hexdigest()
    if found == digest:
        return []
    if found in owners:
        return [f"{name}: has the bytes of {owners[found]}"]
    return [f"{name}: its sha256 is {found}, {by} says {digest}"]


def _model_problems(file: Path, name: str, digest: str | None, style: str | None = None) -> list[str]:
    try:
        model = open_model(file, digest, name=name)
        Player(model.architecture, model.encoding, model.weights)  # raises where they do not belong together
    except FarmError as error:
        return [str(error) if str(error).startswith(name) else f"{name}: {error}"]
    told = model.card.get("style", style)
    return [f"{name}: its card says {told}, the catalog {style}"] if style is not None and told != style else []


def _named_files(catalog: Mapping[str, Any], problems: list[str], where: str) -> dict[str, tuple[str, str]]:
    """Return (hash, style) of every model file a catalog names, by path; what cannot be one becomes a problem."""
    named = {}
    for model in [*_records(catalog.get("models")), *_records(catalog.get("earlier"))]:
        for file in _records(model.get("files")):
            path, digest = str(file.get("path")), str(file.get("sha256"))
            if _is_inside(path):
                named[path] = (digest, str(model.get("style")))
            else:
                problems.append(f"{where}: names {path[:100]!r}, which is no file inside")
    return named


def _parsed(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        value = json.loads(_read(file))
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    problems.append(f"{file.name}: is no JSON object")
    return {}


def _records(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_inside(name: str) -> bool:
    """Return whether a name with forward slashes stays inside the folder it is read in."""
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and ":" not in name and not {"", ".", ".."} & set(parts)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FarmError(f"{file}: {error.strerror or error}; check its permissions") from error
