"""`farm init`: a corpora.yaml from a folder of folders of music, to be looked over and run."""

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import yaml

from farm.config import BASE
from farm.corpus.sources import is_music_name
from farm.errors import FarmError, SourceError
from farm.storage import Storage

_HEADER = """\
# Written by 'farm init'. One style per folder; look it over, then: farm run {name}
# A model ships only when the licence of its music is known: put it where it says 'unknown'.
# 'base: all': one network is trained first on all styles, and each style starts from it; 'none' for each on its own.
"""


def style_name(folder_name: str) -> str:
    """Return a style's name for a folder's: small ASCII letters, digits, '-' and '_'.

    Examples
    --------
    >>> style_name("Dvořák & Co."), style_name("_Xmas 2"), style_name("音楽")
    ('dvorak-co', 'xmas-2', 'style')
    """
    plain = unicodedata.normalize("NFKD", folder_name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:64] or "style"


def write_farm(folder: Path, output: Path, *, only: Sequence[str] = (), force: bool = False) -> list[str]:
    """Write a corpora.yaml with one style per folder that holds music, and return the styles' names.

    Raises
    ------
    SourceError
        When the folder is missing or holds no music.
    FarmError
        When the output is there already, or a folder named in `only` is not.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; name one that holds a folder of music per style")
    if output.exists() and not force:
        raise FarmError(f"{output} is there already; choose another name with -o, or replace it with --force")
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and _holds_music(path)}
    missing = [name for name in only if name not in found]
    if missing:
        raise FarmError(f"{folder}: no folder of music named {', '.join(missing)}; it has {', '.join(found) or 'none'}")
    chosen = [found[name] for name in only] if only else list(found.values())
    if not chosen and _holds_music(folder):
        chosen = [folder.resolve()]
    if not chosen:
        raise SourceError(f"{folder}: no music in it or its folders (MIDI, MusicXML, ABC, kern, MEI)")
    styles: dict[str, dict] = {}
    for path in chosen:
        name, number = style_name(path.name), 2
        while name in styles or name == BASE:
            name, number = f"{style_name(path.name)}-{number}", number + 1
        place = os.path.relpath(path, output.resolve().parent)
        styles[name] = {"title": path.name, "sources": [{"folder": place, "licence": "unknown"}]}
    farm = {
        "farm": 1,
        "artifacts": "artifacts",
        "seed": 2019,
        "recipe": "jobs/compact.yaml",
        "base": "all",
        "styles": styles,
    }
    text = _HEADER.format(name=output.name) + yaml.safe_dump(farm, sort_keys=False, allow_unicode=True)
    Storage(output.resolve().parent).write_text(output.name, text)
    return list(styles)


def _holds_music(folder: Path) -> bool:
    return any(is_music_name(name) for _, _, names in os.walk(folder) for name in names)
