"""The members of a zip or tar archive, in memory: nothing is ever unpacked to disk.

Conventions
-----------
Members come in the archive's own order, so that a compressed one is unpacked once. Whatever the archive says about
itself, no more is unpacked than its `Budget` allows: a bomb ends after a second, in little memory.
"""

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import IO, Any, cast

from farm.corpus.archive_budget import Budget, ForwardStream
from farm.corpus.findings import (
    MAX_FILE_BYTES,
    SNIFF_BYTES,
    Finding,
    hidden,
    is_music_name,
    is_music_start,
    is_unsafe,
    matcher,
    shown,
)
from farm.errors import ReadError, SourceError

_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    # names that are not the UTF-8 they say, numbers in headers that are none, a zip of a version to come
    *(ValueError, OverflowError, NotImplementedError),
)
_ZIP_HEADER_BYTES = 30
_ZIP_END_BYTES = 22 + 0xFFFF  # with the longest comment
_PACKERS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive that is no folder.

    Attributes
    ----------
    name
        As it stands in the archive.
    size
        Unpacked bytes, as the archive says.
    oddity
        What it is when it is no file, such as 'a link'; empty otherwise.
    read
        Takes `sniff`; returns the bytes, up to `MAX_FILE_BYTES` and one more, or with `sniff` None when they do not
        start like music. Valid until the next member is asked for. Raises ReadError when this member is broken,
        SourceError when the archive is.
    """

    name: str
    size: int
    oddity: str
    read: Callable[[bool], bytes | None]


def find_in_archive(path: str, pattern: str) -> Iterator[Finding]:
    """Yield everything in an archive that a glob takes, in the archive's order.

    Raises
    ------
    SourceError
        When the archive is damaged, cut off, no archive, or a bomb.
    """
    takes = matcher(pattern)
    names: set[str] = set()
    for position, member in enumerate(members(path)):
        relative = member.name
        while relative.startswith("./"):
            relative = relative[2:]
        if not relative or not takes(relative):
            continue
        finding = Finding(relative, path, member.name, member.size, position=position)
        unseen = hidden(relative)
        if is_unsafe(relative):
            yield finding._replace(rejected="unsafe-path: it leads out of the archive; pack it under a plain name")
        elif unseen == "hidden":
            yield finding._replace(skipped="hidden")
        elif unseen:
            continue
        elif member.oddity:
            yield finding._replace(skipped=f"not-a-file: {member.oddity}")
        elif member.name in names:
            yield finding.failing("duplicate-name: a member before it has the same name")
        else:
            names.add(member.name)
            yield _look_into(finding, member)


def _look_into(finding: Finding, member: Member) -> Finding:
    """Return a member's finding with the hash of its bytes, or with why they are not wanted."""
    is_named = is_music_name(finding.path)
    if member.size > MAX_FILE_BYTES:
        return finding._replace(skipped="too-big" if is_named else "not-music")
    try:
        return finding.holding(member.read(not is_named))
    except ReadError as error:
        return finding.failing(str(error))


def members(path: str) -> Iterator[Member]:
    """Yield the members of an archive in its order, links and devices too, folders left out.

    Raises
    ------
    SourceError
        As `find_in_archive`.
    """
    with _told(path), open(path, "rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
        budget = Budget(path)
        packer = next((packer for mark, packer in _PACKERS if head.startswith(mark)), None)
        if packer is not None:
            file.seek(0)
            with packer(file) as unpacked:
                yield from _tar_members(path, ForwardStream(unpacked, file, budget), budget)
        elif head[257:262] != b"ustar" and zipfile.is_zipfile(file):  # a tar may end with a zip, and is none
            yield from _zip_members(file, budget)
        elif head.startswith(b"PK\x03\x04"):
            raise SourceError(f"{shown(path)}: a zip file whose end is missing; download it again")
        else:
            file.seek(0)
            yield from _tar_members(path, ForwardStream(file, file, budget), budget)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise SourceError(
            f"{shown(path)}: not a zip or tar file, or damaged ({shown(str(error))}); "
            "download it again, or unpack what is whole and name the folder"
        ) from error


def _zip_members(file: IO[bytes], budget: Budget) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        _check_count(file, len(entries))
        overlapping = _overlapping(entries)
        for entry in entries:
            budget.count()
            if not entry.is_dir():
                read = partial(_read_zip, archive, entry, budget, id(entry) in overlapping)
                yield Member(entry.filename, entry.file_size, _oddity(entry), read)


def _check_count(file: IO[bytes], count: int) -> None:
    """Check that a zip lists as many members as it says at its end; ZipFile takes fewer for all there are."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _ZIP_END_BYTES))
    end = file.read()
    (said,) = struct.unpack_from("<H", end, end.rindex(b"PK\x05\x06") + 10)
    if said not in (count & 0xFFFF, 0xFFFF):  # 0xFFFF: too many for two bytes
        raise zipfile.BadZipFile(f"it says it has {said} members and lists {count}")


def _oddity(entry: zipfile.ZipInfo) -> str:
    """Return what a zip's member is when it is no file; only a system with links says it, and not always."""
    kind = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == 3 else 0
    return {0: "", stat.S_IFREG: "", stat.S_IFLNK: "a link"}.get(kind, "a device or pipe")


def _overlapping(entries: list[zipfile.ZipInfo]) -> set[int]:
    """Return the ids of the members that reach into the next one, as in a bomb that unpacks the same bytes often."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    return {
        id(entry)
        for entry, after in pairwise(ordered)
        if entry.header_offset + _ZIP_HEADER_BYTES + entry.compress_size > after.header_offset
    }


def _read_zip(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget, is_overlapping: bool, sniff: bool
) -> bytes | None:
    if is_overlapping:
        raise ReadError("archive-bomb", "the member shares its bytes with another")
    if entry.flag_bits & 1:
        raise ReadError("encrypted", "the member needs a password; unpack it and name the folder")
    try:
        with archive.open(entry) as stream:
            data = _read(stream, entry.file_size, sniff)
    except RuntimeError as error:  # an unknown compression, or one that this Python was built without
        raise ReadError("unsupported", f"archive member: {error}; pack it with deflate") from error
    except _BROKEN as error:
        raise ReadError("damaged", f"archive member: {shown(str(error)) or 'it ends too early'}") from error
    if data is not None:
        budget.spend(len(data), entry.compress_size)
    return data


def _tar_members(path: str, stream: ForwardStream, budget: Budget) -> Iterator[Member]:
    reading = cast("IO[bytes]", stream)  # it has what TarFile needs to read
    with tarfile.TarFile(fileobj=reading, encoding="utf-8", errors="surrogateescape") as archive:
        while (entry := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined] # it would keep every header until the end
            budget.count()
            if entry.isdir():
                continue
            oddity = "" if entry.isreg() else "a device or pipe"
            if entry.islnk() or entry.issym():
                oddity = f"a link to {shown(entry.linkname)}"
            yield Member(entry.name, entry.size, oddity, partial(_read_tar, path, archive, entry))
        # TarFile takes a broken header for the end; the real one is a block of zeros.
        if stream.latest.count(0) != tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"no header at byte {archive.offset}")
        stream.finish()


def _read_tar(path: str, archive: tarfile.TarFile, entry: tarfile.TarInfo, sniff: bool) -> bytes | None:
    if entry.issparse():
        raise ReadError("unsupported", "archive member: a file with holes; pack it without --sparse")
    with _told(path):
        data = archive.extractfile(entry)
        return None if data is None else _read(data, entry.size, sniff)


def _read(stream: IO[bytes], size: int, sniff: bool) -> bytes | None:
    limit = min(size, MAX_FILE_BYTES) + 1
    if not sniff:
        return stream.read(limit)
    head = stream.read(SNIFF_BYTES)
    return head + stream.read(limit) if is_music_start(head) else None
