"""The files of a folder, searched recursively: each is opened once, and what is no file is never opened.

Conventions
-----------
Paths are strings, and an entry's kind comes with the folder's listing: at 100,000 files the rest would cost more than
reading them. Links are followed after everything that lies in the folder itself, and no folder is listed twice.
"""

import os
import stat
from collections.abc import Iterator

from farm.corpus.findings import (
    MAX_FILE_BYTES,
    SNIFF_BYTES,
    Finding,
    hidden,
    is_music_name,
    is_music_start,
    matcher,
    shown,
)
from farm.errors import ReadError

# Without O_NONBLOCK, a FIFO that took a file's place since the listing would be waited for without end.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def find_in_folder(root: str, pattern: str) -> Iterator[Finding]:
    """Yield what a glob takes of a folder and the folders below it, in no order.

    A folder below that cannot be listed is a finding of its own, whatever the glob; its path ends with a slash, as
    does that of a link to a folder that is listed under another path.

    Raises
    ------
    OSError
        When `root` itself cannot be listed.
    """
    takes = matcher(pattern)
    for path, location, kind, detail in _walk(root):
        is_lost_folder = kind == "unreadable" and path.endswith("/")
        if not is_lost_folder and not takes(path.removesuffix("/")):
            continue
        finding, unseen = Finding(path, location, None, 0), hidden(path)
        if unseen == "hidden":
            yield finding._replace(skipped="hidden")
        elif unseen:
            continue
        elif kind == "file":
            yield _look_into(finding)
        elif kind == "unreadable":
            reason = f"unreadable: {detail}"
            yield finding._replace(rejected=reason) if is_lost_folder else finding.failing(reason)
        else:
            yield finding._replace(skipped=f"{kind}: {detail}")


def read_file(location: str) -> bytes:
    """Return a file's bytes, of a larger one `MAX_FILE_BYTES` and one more.

    Raises
    ------
    ReadError
        When it cannot be read, or is no file any more.
    """
    try:
        descriptor, size = _open(location)
        try:
            return _read(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ReadError("unreadable", error.strerror or str(error)) from error


def _walk(root: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield relative path, location, kind and detail of every entry but the folders that can be listed.

    A kind is 'file' or what will be the reason: 'not-a-file', 'unreadable', 'same-folder'.
    """
    seen: dict[tuple[int, int], str] = {}
    folders, links = [""], list[str]()
    while folders or links:
        if not folders:  # links last, so that a file keeps its path when a link to its folder is made
            links.sort(reverse=True)
            folders.append(links.pop())
        folder = folders.pop()
        place = os.path.join(root, folder)
        try:
            status = os.stat(place)
            first = seen.setdefault((status.st_dev, status.st_ino), folder)
            if first != folder:
                yield folder, place, "same-folder", f"it is listed as {shown(first) or './'}"
                continue
            with os.scandir(place) as listing:
                entries = list(listing)
        except OSError as error:
            if not folder:
                raise
            yield folder, place, "unreadable", f"the folder: {error.strerror or error}"
            continue
        below: list[str] = []
        for entry in entries:
            path = folder + entry.name
            kind, detail = _kind(entry)
            if kind not in ("folder", "link"):
                yield path, entry.path, kind, detail
            elif not entry.name.startswith("."):
                (below if kind == "folder" else links).append(path + "/")
        folders += sorted(below, reverse=True)


def _kind(entry: os.DirEntry[str]) -> tuple[str, str]:
    """Return an entry's kind and its detail, as `_walk` does, or 'folder', or 'link' for a link to a folder."""
    try:
        if entry.is_file(follow_symlinks=False):
            return "file", ""
        if entry.is_dir(follow_symlinks=False):
            return "folder", ""
        mode = os.stat(entry.path).st_mode
    except FileNotFoundError:
        return "unreadable", "a link to what does not exist"
    except OSError as error:
        return "unreadable", error.strerror or str(error)
    if stat.S_ISDIR(mode):
        return "link", ""
    return ("file", "") if stat.S_ISREG(mode) else ("not-a-file", _KINDS.get(stat.S_IFMT(mode), "unknown"))


def _look_into(finding: Finding) -> Finding:
    """Return a file's finding with the hash of its bytes, or with why they are not wanted."""
    is_named = is_music_name(finding.path)
    try:
        descriptor, size = _open(finding.location)
        try:
            if size > MAX_FILE_BYTES:
                return finding._replace(size=size, skipped="too-big" if is_named else "not-music")
            if not is_named:
                if not is_music_start(os.read(descriptor, SNIFF_BYTES)):
                    return finding._replace(size=size, skipped="not-music")
                os.lseek(descriptor, 0, os.SEEK_SET)
            return finding.holding(_read(descriptor, size))
        finally:
            os.close(descriptor)
    except OSError as error:
        return finding.failing(f"unreadable: {error.strerror or error}")
    except ReadError as error:
        return finding._replace(rejected=str(error))


def _open(location: str) -> tuple[int, int]:
    """Return a descriptor of a regular file, to be closed by the caller, and the file's size."""
    descriptor = os.open(location, _FLAGS)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ReadError("changed", "it is no file any more")
    return descriptor, status.st_size


def _read(descriptor: int, size: int) -> bytes:
    """Return the bytes from here on, `MAX_FILE_BYTES` and one more at most; `size` is how many to expect."""
    data = os.read(descriptor, min(size, MAX_FILE_BYTES) + 1)
    if len(data) == size:  # fewer than asked for: the end, found with one call
        return data
    parts, left = [data], MAX_FILE_BYTES + 1 - len(data)
    while left > 0 and (part := os.read(descriptor, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
