"""Raw MIDI bytes: unwrap, walk, count. The oracle that no note is lost.

A reader is believed only when it returns as many notes as this scanner counts, less those that are dropped for a
named reason. The scanner shares no code with any reader.

Conventions
-----------
Channels count from 0. A note-on with velocity 0 is a note-off. A track ends at its end-of-track event; what follows
it is not music. Running status goes on across meta and system-exclusive events, as lenient readers have it. A data
byte above 127 is taken as it stands, so that the events after it are still found.
"""

import struct
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass

from farm.errors import ReadError

MAX_TRACKS = 4096
MAX_NOTES = 2_000_000
N_KEYS = 16 * 128

INTACT, TRUNCATED, NO_STATUS = range(3)
"""How a track ended: as it should, in the middle of an event, or at a data byte with no status before it."""


@dataclass(frozen=True)
class Scan:
    """What the bytes of one MIDI file say.

    Attributes
    ----------
    tracks
        Start and end of every track's events in the bytes.
    notes_by_channel
        Note-ons with a velocity above 0, all tracks together, shape (16,).
    unended
        Note-ons that no note-off of their track answers.
    damage
        Empty, or what is wrong with the bytes.
    is_truncated
        Whether the file ends before its last track does.
    """

    format: int
    division: int
    tracks: tuple[tuple[int, int], ...]
    notes_by_channel: tuple[int, ...]
    unended: int
    damage: str
    is_truncated: bool

    @property
    def notes(self) -> int:
        return sum(self.notes_by_channel)

    @property
    def is_smpte(self) -> bool:
        """Whether ticks are parts of a film frame instead of parts of a beat."""
        return self.division >= 0x8000


def unwrap(data: bytes) -> bytes | None:
    """Return the MIDI file inside `data`: plain, in a RIFF box or behind a MacBinary header; None without one."""
    if data[:4] == b"MThd":
        return data
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        at = data.find(b"MThd", 12, 4096)
        return data[at:] if at > 0 else None
    if data[:1] == b"\0" and data[128:132] == b"MThd":
        return data[128:]
    return None


def scan_midi(data: bytes) -> Scan:
    """Return the counts of a MIDI file that starts with its header, as `unwrap` returns it.

    Raises
    ------
    ReadError
        `not-music` without a header, `damaged` without a single track, `too-big` past the limits of this module.
    """
    if data[:4] != b"MThd" or len(data) < 14:
        raise ReadError("not-music", "no MIDI header")
    header_bytes, file_format, _, division = struct.unpack_from(">IHHH", data, 4)
    spans, damage = _track_spans(data, 8 + header_bytes)
    if not spans:
        raise ReadError("damaged", f"no track chunk in {len(data)} bytes")
    if len(spans) > MAX_TRACKS:
        raise ReadError("too-big", f"{len(spans)} tracks, at most {MAX_TRACKS} are read")
    is_truncated = bool(damage)
    notes = [0] * 16
    unended = 0
    for start, end in spans:
        sounding = [0] * N_KEYS
        state = count_track(data, start, end, notes, sounding)
        unended += sum(sounding)
        if state != INTACT and not damage:
            damage = "an event is cut off" if state == TRUNCATED else "an event without a status"
    if sum(notes) > MAX_NOTES:
        raise ReadError("too-big", f"{sum(notes)} notes, at most {MAX_NOTES} are read")
    return Scan(file_format, division, tuple(spans), tuple(notes), unended, damage, is_truncated)


def single_track(data: bytes, scan: Scan, track: int) -> bytes:
    """Return one track as a MIDI file of its own: what a format 2 file holds is not meant to sound together."""
    return rebuild(data, scan, scan.division, [scan.tracks[track]])


def rebuild(data: bytes, scan: Scan, division: int, tracks: Sequence[tuple[int, int]]) -> bytes:
    """Return a plain format 1 file with only these tracks: no odd header, no foreign chunks."""
    parts = [b"MThd", struct.pack(">IHHH", 6, 1, len(tracks), division)]
    for start, end in tracks:
        parts += [b"MTrk", struct.pack(">I", end - start), data[start:end]]
    return b"".join(parts)


def _track_spans(data: bytes, at: int) -> tuple[list[tuple[int, int]], str]:
    """Return where the events of each track lie, and what is wrong with the chunks."""
    spans = []
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        end = at + 8 + length
        if data[at : at + 4] == b"MTrk":
            spans.append((at + 8, min(end, len(data))))
            if end > len(data):
                return spans, f"a track of {length} bytes has only {len(data) - at - 8}"
        at = end
    return spans, ""


def count_track(
    data: Sequence[int], start: int, end: int, notes: MutableSequence[int], sounding: MutableSequence[int]
) -> int:
    """Count the notes of one track, from its first delta time to its end-of-track event.

    Only integers and indexed sequences are used, so that the loop can be compiled.

    Parameters
    ----------
    notes
        Note-ons per channel, shape (16,); added to in place.
    sounding
        Notes not ended yet, by `channel * 128 + pitch`, shape (2048,); all 0 at the start, changed in place.

    Returns
    -------
    INTACT, TRUNCATED or NO_STATUS.
    """
    at, status = start, 0
    while at < end:
        byte = 0x80  # the delta time, which is not needed
        while byte >= 0x80:
            if at >= end:
                return TRUNCATED
            byte = data[at]
            at += 1
        if at >= end:
            return TRUNCATED
        byte = data[at]
        if byte >= 0xF0:
            at += 1
            if byte == 0xFF:
                if at >= end:
                    return TRUNCATED
                if data[at] == 0x2F:
                    return INTACT
                at += 1
            elif byte not in (0xF0, 0xF7):
                at += 2 if byte == 0xF2 else 1 if byte in (0xF1, 0xF3) else 0
                continue
            length, more = 0, 0x80
            while more >= 0x80:
                if at >= end:
                    return TRUNCATED
                more = data[at]
                length = (length << 7 | more & 0x7F) & 0x0FFFFFFF
                at += 1
            at += length
            if at > end:
                return TRUNCATED
            continue
        if byte >= 0x80:
            status = byte
            at += 1
        elif status == 0:
            return NO_STATUS
        kind = status & 0xF0
        size = 1 if kind in (0xC0, 0xD0) else 2
        if at + size > end:
            return TRUNCATED
        if kind in (0x80, 0x90):
            channel = status & 0x0F
            key = channel * 128 + min(data[at], 127)
            if kind == 0x90 and data[at + 1] > 0:
                notes[channel] += 1
                sounding[key] += 1
            elif sounding[key] > 0:
                sounding[key] -= 1
        at += size
    return INTACT
