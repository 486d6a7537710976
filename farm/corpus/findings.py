"""What a listing finds: one entry of a folder or archive, and what its name and first bytes say about it.

Conventions
-----------
A name is text as Python has it from the system: bytes that are no UTF-8 stand in it as lone surrogates, so that it
still opens the file. Whatever is written down or shown goes through `shown` first. A reason is a short word, then
': detail' where there is more to say.
"""

import fnmatch
import hashlib
import os
import re
from collections.abc import Callable
from typing import NamedTuple

MAX_FILE_BYTES = 64 << 20
SNIFF_BYTES = 16

MUSIC_SUFFIXES = frozenset(
    [".mid", ".midi", ".smf", ".kar", ".rmi", ".mxl", ".musicxml", ".xml", ".krn", ".kern", ".abc", ".mei"]
)
_MUSIC_ENDINGS = tuple(MUSIC_SUFFIXES)
_NEVER_MUSIC = ("README", "LICENSE", "LICENCE", "COPYING", "MAKEFILE")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSAFE = re.compile(r"[/\\]|[A-Za-z]:[/\\]|(.*[/\\])?\.\.([/\\]|\Z)", re.DOTALL)
_MAC_FOLDER = "__MACOSX"


class Finding(NamedTuple):
    """One entry that a source's `match` takes: to be read, or with the reason why not.

    Attributes
    ----------
    path
        Relative to the source, with forward slashes, as the system has it.
    location
        The path that opens the file, or the archive that holds it.
    member
        The name inside the archive; None for a file of its own.
    size
        Bytes; 0 for what was not looked at.
    sha256
        Empty where the bytes were not read.
    position
        How many members of the archive come before; 0 for a file of its own.
    """

    path: str
    location: str
    member: str | None
    size: int
    sha256: str = ""
    skipped: str = ""
    rejected: str = ""
    position: int = 0

    def holding(self, data: bytes | None) -> "Finding":
        """Return the finding once its file was read; None are the bytes of a file that is no music."""
        if data is None:
            return self._replace(skipped="not-music")
        if len(data) > MAX_FILE_BYTES:
            return self._replace(size=max(self.size, len(data)), skipped="too-big")
        return self._replace(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def failing(self, reason: str) -> "Finding":
        """Return the finding of a file that cannot be read; one whose name is no music's is missed by nobody."""
        if is_music_name(self.path):
            return self._replace(rejected=reason)
        return self._replace(skipped="not-music")


def is_music_name(name: str) -> bool:
    """Tell whether a file's name leaves room for music; what it really is, the reader finds out.

    >>> is_music_name("Waltz.MID"), is_music_name("cover.jpg"), is_music_name("README"), is_music_name("op38")
    (True, False, False, True)
    """
    stem, suffix = os.path.splitext(name.rpartition("/")[2])
    return (suffix in ("", ".") or suffix.lower() in MUSIC_SUFFIXES) and stem.upper() not in _NEVER_MUSIC


def is_music_start(head: bytes) -> bool:
    """Tell whether a file's first bytes are those of MIDI, plain or in a RIFF wrapper, whatever its name says.

    >>> is_music_start(b"MThd...."), is_music_start(b"RIFF....RMIDdata"), is_music_start(b"RIFF....WAVE")
    (True, True, False)
    """
    return head[:4] == b"MThd" or (head[:4] == b"RIFF" and head[8:12] == b"RMID")


def hidden(path: str) -> str:
    """Return 'hidden' for a hidden file that looks like music, 'out' for what no person put there, else nothing.

    Out are hidden folders with all they hold, such as .git, and hidden files that do not look like music.

    >>> hidden("a/._x.mid"), hidden("__MACOSX/x.mid"), hidden(".DS_Store"), hidden(".git/x.mid"), hidden("a/x.mid")
    ('hidden', 'hidden', 'out', 'out', '')
    """
    if path[0] != "." and "/." not in path and _MAC_FOLDER not in path:
        return ""
    *folders, name = path.split("/")
    if any(folder.startswith(".") for folder in folders):
        return "out"
    if not name.startswith(".") and _MAC_FOLDER not in folders:
        return ""
    return "hidden" if name.lower().endswith(_MUSIC_ENDINGS) else "out"


def is_unsafe(name: str) -> bool:
    r"""Tell whether an archive's member would leave the folder it is unpacked in.

    >>> [is_unsafe(name) for name in ("../x.mid", "a/../x.mid", "/x.mid", r"C:\x.mid", r"a\..\x.mid", "a/..x.mid")]
    [True, True, True, True, True, False]
    """
    return _UNSAFE.match(name) is not None


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a glob takes a file by its relative path or by its name; capitals do not matter.

    >>> takes = matcher("*.mid")
    >>> takes("a/X.MID"), takes("a.mid/x")
    (True, False)
    """
    if pattern == "*":
        return lambda path: True
    match = re.compile(fnmatch.translate(pattern.lower())).match

    def takes(path: str) -> bool:
        path = path.lower()
        return match(path) is not None or match(path.rpartition("/")[2]) is not None

    return takes


def shown(name: str) -> str:
    r"""Return a name as valid text: bytes that are no UTF-8 as escapes.

    >>> shown("caf\udce9.mid"), shown("café.mid")
    ('caf\\xe9.mid', 'café.mid')
    """
    return name if name.isascii() else _SURROGATE.sub(_escape, name)


def _escape(surrogate: re.Match[str]) -> str:
    number = ord(surrogate.group())
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"
