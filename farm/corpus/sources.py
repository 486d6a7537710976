"""Where music comes from: folders, archives and music21's corpus, listed as input files with hash and licence.

Conventions
-----------
A listing is sorted by path and holds every file that the source's `match` takes. What plainly is no music, what is
too big and what is over the `limit` stays in the listing as `skipped`, so that every file ends in one state.
A *location* is where the bytes are on this machine; it never takes part in a key.
"""

import builtins
import fnmatch
import hashlib
import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from farm.config import Source
from farm.corpus.archives import MAX_FILE_BYTES, members
from farm.errors import ReadError, SourceError

MUSIC_SUFFIXES = frozenset(
    [".mid", ".midi", ".smf", ".kar", ".rmi", ".mxl", ".musicxml", ".xml", ".krn", ".kern", ".abc", ".mei"]
) | {""}
_NEVER_MUSIC = ("README", "LICENSE", "LICENCE", "COPYING", "MAKEFILE")


@dataclass(frozen=True)
class InputFile:
    """One file of a source.

    Attributes
    ----------
    source
        The source as corpora.yaml names it, such as 'music21: bach'.
    path
        Relative to the source, with forward slashes.
    member
        The name inside the archive at `location`; None for a file of its own.
    bytes
        Size.
    sha256
        Of the bytes; empty where they were not read.
    skipped
        Why the listing leaves this file out; empty when it is to be read.
    rejected
        Why the file cannot be listed properly (no permission, broken archive member); empty otherwise.
    """

    source: str
    path: str
    location: str
    member: str | None
    bytes: int
    sha256: str
    licence: str
    attribution: str
    url: str
    skipped: str = ""
    rejected: str = ""

    @property
    def is_wanted(self) -> bool:
        return not self.skipped and not self.rejected

    def read(self) -> builtins.bytes:
        """Return the bytes; ReadError when they are gone or no longer those that were listed."""
        ((_, data),) = read_files([self])
        if isinstance(data, ReadError):
            raise data
        return data


def list_files(source: Source, folder: Path) -> list[InputFile]:
    """Return every file of a source, sorted by path.

    Parameters
    ----------
    folder
        Where relative paths of the source start: the folder of corpora.yaml.

    Raises
    ------
    SourceError
        When the source is missing, unreadable, not the bytes that were promised, or holds nothing to read.
    """
    folder = folder.absolute()  # a worker may start elsewhere
    if source.archive is not None:
        files = _list_archive(source, folder / source.archive)
    else:
        root = _music21_folder(source) if source.music21 is not None else folder / str(source.folder)
        files = _list_folder(source, root)
    files = sorted(_limited(files, source.limit), key=lambda file: file.path)
    if not any(file.is_wanted for file in files):
        found = f"{len(files)} files, none of them music" if files else f"no file that matches {source.match!r}"
        raise SourceError(f"{source.name}: nothing to read, found {found}; check the path and 'match' of this source")
    return files


def read_files(files: Iterable[InputFile]) -> Iterator[tuple[InputFile, bytes | ReadError]]:
    """Yield each file with its bytes, or with the error that its row will tell; one file in memory at a time.

    Members of an archive come in the archive's order, so that a compressed one is unpacked once.
    """
    archived: dict[str, dict[str, InputFile]] = {}
    for file in files:
        if file.member is not None:
            archived.setdefault(file.location, {})[file.member] = file
            continue
        try:
            with open(file.location, "rb") as stream:
                yield file, _checked(file, stream.read(MAX_FILE_BYTES + 1))
        except OSError as error:
            yield file, ReadError("unreadable", error.strerror or str(error))
    for location, wanted in archived.items():
        left = dict(wanted)
        try:
            for member, _, data in members(Path(location), left.keys()):
                if member in left:
                    file = left.pop(member)
                    yield file, _checked(file, data) if isinstance(data, bytes) else data
        except SourceError as error:
            yield from ((file, ReadError("unreadable", str(error))) for file in left.values())
            continue
        yield from ((file, ReadError("unreadable", "no longer in the archive")) for file in left.values())


def _checked(file: InputFile, data: bytes) -> bytes | ReadError:
    if hashlib.sha256(data).hexdigest() == file.sha256:
        return data
    return ReadError("changed", "the file changed after it was listed; run the same command again")


def _music21_folder(source: Source) -> Path:
    """Return a folder of music21's corpus, found without importing music21."""
    found = importlib.util.find_spec("music21")
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"{source.name}: music21 is not installed; install it with 'pip install music21'")
    corpus = Path(found.submodule_search_locations[0], "corpus")
    folder = (corpus / str(source.music21)).resolve()
    if not folder.is_dir() or not folder.is_relative_to(corpus.resolve()):
        known = ", ".join(
            sorted(entry.name for entry in corpus.iterdir() if entry.is_dir() and entry.name[0] not in "_.")
        )
        raise SourceError(f"{source.name}: music21's corpus has no such folder; it has {known}")
    return folder


def _list_folder(source: Source, root: Path) -> list[InputFile]:
    if not root.exists():
        raise SourceError(f"{source.name}: {root} does not exist; correct the path, it starts at corpora.yaml's folder")
    if not root.is_dir():
        raise SourceError(
            f"{source.name}: {root} is no folder; name its folder, or use 'archive:' for a zip or tar file"
        )
    files = []
    for path in _walk(source, root):
        relative = path.relative_to(root).as_posix()
        if not _matches(relative, source.match):
            continue
        try:
            size = path.stat().st_size
            skipped = _not_music(relative, size)
            digest = "" if skipped else hashlib.sha256(path.read_bytes()).hexdigest()
            files.append(_input(source, relative, str(path), None, size, digest, skipped))
        except OSError as error:
            broken = _input(source, relative, str(path), None, 0, "", "")
            files.append(replace(broken, rejected=f"unreadable: {error.strerror or error}"))
    return files


def _walk(source: Source, root: Path) -> Iterator[Path]:
    """Yield the regular files under `root`, hidden ones left out; a linked folder is entered once."""
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise SourceError(
            f"{source.name}: {error.filename}: {error.strerror}; make the folder readable or move it away"
        )

    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _list_archive(source: Source, path: Path) -> list[InputFile]:
    if not path.is_file():
        raise SourceError(f"{source.name}: {path} does not exist; download it first or correct the path")
    if source.sha256 is not None:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != source.sha256.lower():
            raise SourceError(
                f"{source.name}: its sha256 is {digest}, not the one given; download it again or correct it"
            )
    files: list[InputFile] = []
    names: set[str] = set()
    for member, size, data in members(path, None):
        name = PurePosixPath(member)
        hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
        if hidden or member in names or not _matches(member, source.match):
            continue
        names.add(member)
        skipped = _not_music(member, size)
        broken = str(data) if isinstance(data, ReadError) and not skipped else ""
        digest = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) and not skipped else ""
        files.append(replace(_input(source, member, str(path), member, size, digest, skipped), rejected=broken))
    return files


def _limited(files: Sequence[InputFile], limit: int | None) -> list[InputFile]:
    """Mark all but `limit` of the files to read as skipped: those with the smallest hashes stay, a spread sample."""
    wanted = sorted((file for file in files if file.is_wanted), key=lambda file: (file.sha256, file.path))
    over = set() if limit is None else {file.path for file in wanted[limit:]}
    return [replace(file, skipped="over-limit") if file.path in over else file for file in files]


def _matches(path: str, pattern: str) -> bool:
    """Tell whether a glob takes a file by its relative path or by its name; capitals do not matter."""
    path, pattern = path.lower(), pattern.lower()
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path.rpartition("/")[2], pattern)


def is_music_name(name: str) -> bool:
    """Tell whether a file's name leaves room for music; what it really is, the reader finds out.

    >>> is_music_name("Waltz.MID"), is_music_name("cover.jpg"), is_music_name("README"), is_music_name("op38")
    (True, False, False, True)
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in MUSIC_SUFFIXES and path.stem.upper() not in _NEVER_MUSIC


def _not_music(path: str, size: int) -> str:
    """Return why a file is not even opened, or nothing."""
    if not is_music_name(path):
        return "not-music"
    return "too-big" if size > MAX_FILE_BYTES else ""


def _input(
    source: Source, path: str, location: str, member: str | None, size: int, digest: str, skipped: str
) -> InputFile:
    about = (source.licence, source.attribution, source.url)
    return InputFile(source.name, path, location, member, size, digest, *about, skipped)
