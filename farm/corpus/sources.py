"""Where music comes from: folders, archives and music21's corpus, listed as input files with hash and licence.

Conventions
-----------
A listing is sorted by path and holds everything that the source's `match` takes. What plainly is no music, what is
too big and what is over the `limit` stays in the listing as `skipped`, what cannot be read as `rejected`, so that
everything ends in one state. Left out are folders, and what is hidden and does not look like music.
A *location* is where the bytes are on this machine; it never takes part in a key.
"""

import builtins
import hashlib
import importlib.util
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from farm.config import Source
from farm.corpus.archives import find_in_archive
from farm.corpus.findings import Finding, is_music_name, shown
from farm.corpus.folders import find_in_folder, read_file
from farm.corpus.open_archive import open_archive
from farm.errors import ReadError, SourceError

__all__ = ["InputFile", "is_music_name", "list_files", "read_files"]


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a source.

    Attributes
    ----------
    source
        The source as corpora.yaml names it, such as 'music21: bach'.
    path
        Relative to the source, with forward slashes: valid text, and no other file of the source has it.
    location
        What opens the file, or the archive that holds it.
    member
        The name inside the archive at `location`; None for a file of its own.
    bytes
        Size; 0 for what was not looked at, such as a device or a hidden file.
    sha256
        Of the bytes; empty where they were not read.
    skipped
        Why the listing leaves this file out; empty when it is to be read.
    rejected
        Why it cannot be read (no permission, broken archive member); empty otherwise.
    position
        How many members of its archive come before; 0 for a file of its own.
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
    position: int = 0

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
    name, about = source.name, (source.licence, source.attribution, source.url)  # shared by all files
    try:
        files = [
            InputFile(name, shown(path), location, member, size, sha256, *about, skipped, rejected, position)
            for path, location, member, size, sha256, skipped, rejected, position in _find(source, folder)
        ]
    except OSError as error:
        place = shown(str(error.filename or folder))
        raise SourceError(
            f"{name}: {place}: {error.strerror or error}; make it readable or correct the path"
        ) from error
    files = _limited(_told_apart(files), source.limit)
    if not any(file.is_wanted for file in files):
        counts = Counter((file.skipped or file.rejected).partition(":")[0] for file in files)
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(counts.items()))
        found = f"{len(files)} files ({reasons})" if files else f"no file that matches {source.match!r}"
        raise SourceError(f"{source.name}: nothing to read, found {found}; check the path and 'match' of this source")
    return files


def read_files(files: Iterable[InputFile]) -> Iterator[tuple[InputFile, bytes | ReadError]]:
    """Yield each file with its bytes, or with the error that its row will tell; one file in memory at a time.

    Members of an archive come after all other files and in the archive's order. It stays open for the next call from
    this thread, which goes on from there: reading an archive batch by batch unpacks it once.
    """
    archived: dict[str, list[InputFile]] = {}
    for file in files:
        if file.member is not None:
            archived.setdefault(file.location, []).append(file)
            continue
        try:
            yield file, _checked(file, read_file(file.location))
        except ReadError as error:
            yield file, error
    for location, wanted in archived.items():
        yield from _read_members(location, sorted(wanted, key=lambda file: file.position))


def _read_members(location: str, wanted: Sequence[InputFile]) -> Iterator[tuple[InputFile, bytes | ReadError]]:
    """Yield members of one archive, in its order; when it breaks, all that were to come are unreadable."""
    opened = open_archive(os.getpid(), threading.get_ident())
    for number, file in enumerate(wanted):
        try:
            yield file, _checked(file, opened.read(location, file.position, str(file.member)))
        except ReadError as error:
            yield file, error
        except SourceError as error:
            opened.close()
            yield from ((left, ReadError("unreadable", str(error))) for left in wanted[number:])
            return


def _checked(file: InputFile, data: bytes) -> bytes | ReadError:
    if hashlib.sha256(data).hexdigest() == file.sha256:
        return data
    return ReadError("changed", "the file changed after it was listed; run the same command again")


def _find(source: Source, folder: Path) -> Iterable[Finding]:
    if source.archive is not None:
        return _list_archive(source, folder / source.archive)
    if source.music21 is not None:
        return _list_folder(source, _music21_folder(source))
    return _list_folder(source, folder / str(source.folder))


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


def _list_folder(source: Source, root: Path) -> Iterable[Finding]:
    if not root.exists():
        raise SourceError(f"{source.name}: {root} does not exist; correct the path, it starts at corpora.yaml's folder")
    if not root.is_dir():
        raise SourceError(
            f"{source.name}: {root} is no folder; name its folder, or use 'archive:' for a zip or tar file"
        )
    return find_in_folder(str(root), source.match)


def _list_archive(source: Source, path: Path) -> Iterable[Finding]:
    if not path.is_file():
        found = "is no file" if path.exists() else "does not exist"
        raise SourceError(f"{source.name}: {path} {found}; download it first or correct the path")
    if source.sha256 is not None:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != source.sha256.lower():
            raise SourceError(
                f"{source.name}: its sha256 is {digest}, not the one given; download it again or correct it"
            )
    return find_in_archive(str(path), source.match)


def _told_apart(files: Sequence[InputFile]) -> list[InputFile]:
    """Return the files sorted by path; of those that would be shown alike all but the first get a number.

    They are alike when an archive has two members of one name, or when a name holds what another's escapes look like.
    """
    ordered = sorted(files, key=lambda file: (file.path, file.location))
    taken = {file.path for file in ordered}
    if len(taken) == len(ordered):
        return ordered
    last: dict[str, int] = {}
    for index, file in enumerate(ordered):
        path, number = file.path, last.get(file.path, 0) + 1
        while number > 1 and path in taken:
            path = f"{file.path} ({number})"
            number += path in taken
        last[file.path] = number
        taken.add(path)
        if number > 1:
            ordered[index] = replace(file, path=path)
    return sorted(ordered, key=lambda file: file.path)


def _limited(files: Sequence[InputFile], limit: int | None) -> list[InputFile]:
    """Mark all but `limit` of the files to read as skipped: those with the smallest hashes stay, a spread sample."""
    wanted = sorted((file for file in files if file.is_wanted), key=lambda file: (file.sha256, file.path))
    over = set() if limit is None else {file.path for file in wanted[limit:]}
    return [replace(file, skipped="over-limit") if file.path in over else file for file in files]
