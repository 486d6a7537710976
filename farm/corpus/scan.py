"""Raw MIDI bytes: unwrap, walk, count. The oracle that no note is lost.

A reader is believed only when it returns as many notes as this scanner counts, less those that are dropped for a
named reason. The scanner shares no code with any reader.

Conventions
-----------
Channels count from 0. A note-on with velocity 0 is a note-off. A track ends at its end-of-track event; what follows
it is not music. Running status goes on across meta and system-exclusive events, as lenient readers have it. A data
byte above 127 is taken as it stands, so that the events after it are still found. Where the length of a chunk
cannot be right, the next track is looked for by its name.
"""

import re
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from farm.errors import ReadError

MAX_TRACKS = 4096
MAX_NOTES = 2_000_000
N_KEYS = 16 * 128
FRAMES_PER_SECOND = (24, 25, 29, 30)

INTACT, OPEN, TRUNCATED, NO_STATUS = range(4)
"""How a track ended: as it should, without saying so, in the middle of an event, at a data byte without a status."""

STATE, END, UNENDED, OUTSIDE = range(4)
"""Columns of what `count_tracks` finds: how the track ended, where its last whole event does, how many notes never
end, how many have a pitch that is none."""

FILE, TRACK = b"MThd", b"MTrk"
_CHUNK_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9 ]{3}")


class Scan(NamedTuple):
    """What the bytes of one MIDI file say.

    Attributes
    ----------
    tracks
        Start and end of every track's whole events in the bytes.
    notes_by_channel
        Note-ons with a velocity above 0, all tracks together, shape (16,).
    unended
        Note-ons that no note-off of their track answers.
    outside
        Note-ons with a pitch above 127; no reader can return them.
    damage
        Empty, or what is wrong with the bytes.
    lost_share
        Share of the tracks' bytes that lies behind the damage and was not walked, or that the file lacks, 0 to 1.
    is_truncated
        Whether the file ends before its last track does.
    """

    format: int
    division: int
    tracks: tuple[tuple[int, int], ...]
    notes_by_channel: tuple[int, ...]
    unended: int
    outside: int
    damage: str = ""
    lost_share: float = 0.0
    is_truncated: bool = False

    @property
    def notes(self) -> int:
        return sum(self.notes_by_channel)

    @property
    def is_smpte(self) -> bool:
        """Whether ticks are parts of a film frame instead of parts of a beat."""
        return self.division >= 0x8000


def unwrap(data: bytes) -> bytes | None:
    """Return the MIDI file inside `data`: plain, in a RIFF box or behind a MacBinary header; None without one."""
    if data[:4] == FILE:
        return data
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        at = data.find(FILE, 12, 4096)
        return data[at:] if at > 0 else None
    if data[:1] == b"\0" and data[128:132] == FILE:
        return data[128:]
    return None


def count_tracks(data: Any, spans: Any, notes: Any, found: Any) -> None:
    """Count the notes of every track; only integers and arrays, so that `farm.corpus.compiled` can compile it.

    Parameters
    ----------
    data
        The file's bytes: anything whose items are 0-255.
    spans
        Start and end of every track, int64, shape (n_tracks, 2).
    notes
        Note-ons per channel, int64, shape (16,); added to in place.
    found
        What the columns above name of every track, int64, shape (n_tracks, 4); written in place.
    """
    sounding = np.zeros(N_KEYS, np.int64)
    for track in range(len(spans)):
        at, end, status = int(spans[track, 0]), int(spans[track, 1]), 0
        state, whole, outside = TRUNCATED, at, 0
        sounding[:] = 0
        while True:
            whole = at
            if at >= end:
                state = OPEN
                break
            byte = 0x80  # the delta time, which is not needed
            while byte >= 0x80 and at < end:
                byte = int(data[at])
                at += 1
            if byte >= 0x80 or at >= end:
                break
            byte = int(data[at])
            if byte >= 0xF0:
                at += 1
                if byte != 0xF0 and byte != 0xF7 and byte != 0xFF:
                    at += 2 if byte == 0xF2 else 1 if byte == 0xF1 or byte == 0xF3 else 0
                    if at > end:
                        break
                    continue
                if byte == 0xFF:
                    if at >= end:
                        break
                    if data[at] == 0x2F:
                        state = INTACT
                        break
                    at += 1
                length, more = 0, 0x80
                while more >= 0x80 and at < end:
                    more = int(data[at])
                    length = (length << 7 | more & 0x7F) & 0x0FFFFFFF
                    at += 1
                at += length
                if more >= 0x80 or at > end:
                    break
                continue
            if byte >= 0x80:
                status = byte
                at += 1
            elif status == 0:
                state = NO_STATUS
                break
            kind = status & 0xF0
            size = 1 if kind == 0xC0 or kind == 0xD0 else 2
            if at + size > end:
                break
            is_on = kind == 0x90 and data[at + 1] > 0
            if is_on:
                notes[status & 0x0F] += 1
            if is_on and data[at] > 127:
                outside += 1
            elif (kind == 0x80 or kind == 0x90) and data[at] <= 127:
                key = (status & 0x0F) * 128 + int(data[at])
                sounding[key] = max(sounding[key] + (1 if is_on else -1), 0)
            at += size
        found[track, STATE], found[track, END] = state, whole
        found[track, UNENDED], found[track, OUTSIDE] = sounding.sum(), outside


Counter = Callable[[Any, Any, Any, Any], None]


def scan_midi(data: bytes, count: Counter = count_tracks) -> Scan:
    """Return the counts of a MIDI file that starts with its header, as `unwrap` returns it.

    Parameters
    ----------
    count
        `count_tracks`, or the same compiled.

    Raises
    ------
    ReadError
        `not-music` without a header, `damaged` without a single track, `too-big` past the limits of this module.
    """
    if data[:4] != FILE or len(data) < 14:
        raise ReadError("not-music", "no MIDI header")
    header_bytes, file_format, _, division = struct.unpack_from(">IHHH", data, 4)
    start = 14 if data[14:18] == TRACK else 8 + header_bytes
    spans, wrong, missing = _track_spans(data, start)
    if start != 8 + header_bytes:
        wrong = f"a header of {header_bytes} bytes that has 6"
    if not spans:
        raise ReadError("damaged", f"no track chunk in {len(data)} bytes")
    if len(spans) > MAX_TRACKS:
        raise ReadError("too-big", f"{len(spans)} tracks, at most {MAX_TRACKS} are read")
    notes, found = np.zeros(16, np.int64), np.zeros((len(spans), 4), np.int64)
    count(data, np.array(spans, np.int64), notes, found)
    if notes.sum() > MAX_NOTES:
        raise ReadError("too-big", f"{notes.sum()} notes, at most {MAX_NOTES} are read")
    states, ends, unended, outside = found.T.tolist()
    if missing and states[-1] == INTACT:
        missing = 0  # the track is whole, only its length is wrong
    lost = missing
    for number, state in enumerate(states):
        if state >= TRUNCATED:
            lost += spans[number][1] - ends[number]
            how = "an event is cut off" if state == TRUNCATED else "an event without a status"
            wrong = wrong or f"track {number + 1} breaks off: {how}"
    return Scan(
        format=file_format,
        division=division,
        tracks=tuple((start, end) for (start, _), end in zip(spans, ends, strict=True)),
        notes_by_channel=tuple(notes.tolist()),
        unended=sum(unended),
        outside=sum(outside),
        damage=wrong,
        lost_share=lost / (sum(end - start for start, end in spans) + missing) if lost else 0.0,
        is_truncated=missing > 0,
    )


def _track_spans(data: bytes, at: int) -> tuple[list[tuple[int, int]], str, int]:
    """Return where the events of each track lie, what is wrong with the chunks, and how many bytes the last lacks."""
    spans: list[tuple[int, int]] = []
    wrong = ""
    while at + 8 <= len(data):
        name, end = data[at : at + 4], at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        is_sound = end <= len(data) and (len(data) - end < 8 or _CHUNK_NAME.match(data, end) is not None)
        following = end if is_sound else data.find(TRACK, at + 4)
        if name == FILE and spans:
            return spans, wrong or f"a second file begins at byte {at}; the first is read", 0
        if name == TRACK:
            spans.append((at + 8, min(end if following < 0 else following, len(data))))
        if following < 0:  # no track follows
            if end > len(data) and name == TRACK:
                wrong = wrong or f"a track of {end - at - 8} bytes has only {len(data) - at - 8}"
                return spans, wrong, end - len(data)
            break
        if not is_sound:
            wrong = wrong or f"the chunk at byte {at} has the wrong length"
        at = following
    return spans, wrong, 0
