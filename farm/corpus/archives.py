"""The members of a zip or tar archive, in memory: nothing is ever unpacked to disk.

Conventions
-----------
Members come in the archive's own order, so that a compressed one is unpacked once. Only regular files are members.
"""

import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from farm.errors import ReadError, SourceError

MAX_FILE_BYTES = 64 << 20
MAX_MEMBERS = 1_000_000


def members(path: Path, wanted: Iterable[str] | None) -> Iterator[tuple[str, int, bytes | ReadError]]:
    """Yield name, size and bytes of the regular members of an archive in its order, all or only those wanted.

    Nothing is unpacked to disk. Bytes stop at `MAX_FILE_BYTES`, whatever the archive says about itself.
    """
    chosen = None if wanted is None else set(wanted)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for number, info in enumerate(archive.infolist()):
                    if number < MAX_MEMBERS and not info.is_dir() and (chosen is None or info.filename in chosen):
                        yield info.filename, info.file_size, _zip_bytes(archive, info)
            return
        with tarfile.open(path) as tar:
            for number, entry in enumerate(tar):
                if number < MAX_MEMBERS and entry.isfile() and (chosen is None or entry.name in chosen):
                    stream = tar.extractfile(entry)
                    if stream is not None:
                        yield entry.name, entry.size, stream.read(MAX_FILE_BYTES + 1)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise SourceError(f"{path}: not a zip or tar file that can be read ({error}); download it again") from error


def _zip_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | ReadError:
    try:
        with archive.open(info) as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    # zipfile raises RuntimeError for a member with a password, NotImplementedError for a compression it lacks
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        return ReadError("unreadable", f"archive member: {error}")
