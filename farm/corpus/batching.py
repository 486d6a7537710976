"""Batches: which input files are read together in one task, and the key that their reading is cached under.

A batch's key says which bytes it holds and which reader reads them, never where they lie or when they were written.
Files are spread over batches by the first bits of their hash; a batch that grows too dear is cut in two by the next
bit. Members of an archive stay in its order, because most archives are read forwards; cuts come after members whose
hash says so. So a file that comes, goes or changes concerns its own batch only.

Conventions
-----------
What a file costs to read is in seconds on one core, about. Nothing here opens a file.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest

from farm.config import Filters
from farm.corpus.filters import note_settings
from farm.corpus.sources import InputFile

READER_VERSION = 2
"""To be raised with every change to what a reader returns: it makes every cached reading stale."""

BATCH_SECONDS = 1.0
"""What one batch should cost to read, about; cuts leave between half of it and all of it."""

_SECONDS_PER_FILE = 0.0005
_SECONDS_PER_KIB = {
    "mxl": 6e-3,
    "krn": 17e-3,
    "kern": 17e-3,
    "abc": 6e-3,
    "musicxml": 4e-4,
    "xml": 4e-4,
    "mei": 5e-4,
}
_MIDI_SECONDS_PER_KIB = 1e-4
NO_FILTERS = Filters()


@dataclass(frozen=True)
class Batch:
    """Files of different bytes that are read in one task, and which of their notes are kept."""

    key: str
    files: tuple[InputFile, ...]
    filters: Filters


def make_batches(files: Iterable[InputFile], filters: Filters = NO_FILTERS) -> list[Batch]:
    """Return the batches that read these files; files not to be read are left out.

    Of files with the same bytes one is read. No files give no batches.
    """
    distinct: dict[str, InputFile] = {}
    for file in files:
        if file.is_wanted:
            distinct.setdefault(file.sha256, file)
    ordered = [distinct[digest] for digest in sorted(distinct)]
    members = sorted(
        (file for file in ordered if file.member is not None), key=lambda each: (each.location, each.position)
    )
    groups = [*_cut([file for file in ordered if file.member is None]), *_cut_archives(members)]
    return [Batch(_key(group, filters), tuple(group), filters) for group in groups]


def _cut(files: Sequence[InputFile]) -> Iterator[Sequence[InputFile]]:
    """Yield files that ascend by hash in groups of the same first bits that are not too dear to read."""
    seconds = [0.0, *accumulate(map(_seconds, files))]
    hashes = [int(file.sha256[:16], 16) for file in files]

    def halve(start: int, stop: int, low: int, width: int) -> Iterator[Sequence[InputFile]]:
        if stop - start <= 1 or seconds[stop] - seconds[start] <= BATCH_SECONDS or width == 1:
            if stop > start:
                yield files[start:stop]
            return
        width //= 2
        middle = bisect_left(hashes, low + width, start, stop)
        yield from halve(start, middle, low, width)
        yield from halve(middle, stop, low + width, width)

    return halve(0, len(files), 0, 1 << 64)


def _cut_archives(files: Sequence[InputFile]) -> Iterator[Sequence[InputFile]]:
    """Yield the members of each archive in its order, in groups that cost about as much as the others."""
    group: list[InputFile] = []
    spent = 0.0
    for file, after in zip_longest(files, files[1:]):
        group.append(file)
        seconds = _seconds(file)
        spent += seconds
        is_drawn = int(file.sha256[:8], 16) < seconds / BATCH_SECONDS * 2**32
        if is_drawn or spent > 4 * BATCH_SECONDS or after is None or after.location != file.location:
            yield group
            group, spent = [], 0.0


def _seconds(file: InputFile) -> float:
    """Return about how long a file takes to read, by its ending; only the size of batches depends on it."""
    rate = _SECONDS_PER_KIB.get(file.path[-9:].lower().rpartition(".")[2], _MIDI_SECONDS_PER_KIB)
    return _SECONDS_PER_FILE + rate * file.bytes / 1024


def _key(files: Sequence[InputFile], filters: Filters) -> str:
    settings = json.dumps(note_settings(filters))
    parts = [f"reader {READER_VERSION}", settings, *sorted(file.sha256 for file in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
