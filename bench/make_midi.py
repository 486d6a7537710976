"""Any number of MIDI files for measuring: made from a seed, much like what people's folders hold.

    python bench/make_midi.py FOLDER [--files 100000] [--seed 1]

One to four tracks of 100 to 600 notes in all, in every key, with tempo, metre and key events, chords, drums in some
of the larger ones, format 0 and 1, note-offs and running status. In each thousand about ten files are exact copies
of others, ten are copies in another key, and ten are broken. A thousand files share a folder, ten folders a folder
above, so that no folder is large.

Conventions
-----------
The notes of a thousand files are made at once, as arrays over all of them. An event is a row of five bytes: its
delta time (two), status, pitch, velocity; a mask says which of them are written, because a delta time may need one
byte only and a status may be left out where it repeats.
"""

import argparse
import struct
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

PER_FOLDER = 1000
COPIES_SHARE = TRANSPOSED_SHARE = BROKEN_SHARE = 0.01
TICKS_PER_BEAT = 480
_SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
_STEPS = np.array([-4, -3, -2, -2, -1, -1, -1, 1, 1, 1, 2, 2, 3, 4])
_TICKS = np.array([120, 240, 240, 240, 480, 480, 480, 720, 960])
_METRES = ((4, 2), (4, 2), (3, 2), (2, 2), (6, 3))  # the second number is a power of two
_DRUM_CHANNEL = 9
_DEGREES = 15  # a part's range: two octaves
_END = b"\x00\xff\x2f\x00"


class _Tracks(NamedTuple):
    """The tracks of a thousand files, one element each: number of the file, channel, lowest note, number of notes."""

    file: np.ndarray
    channel: np.ndarray
    lowest: np.ndarray
    length: np.ndarray


def write_files(folder: Path, count: int, seed: int) -> None:
    """Write so many files under a folder; the same seed gives the same bytes, whatever the count."""
    for number in range(-(-count // PER_FOLDER)):
        place = folder / f"{number // 10:03d}" / f"{number:04d}"
        place.mkdir(parents=True)
        for index, data in enumerate(make_thousand(seed, number)[: count - number * PER_FOLDER]):
            with open(f"{place}/piece-{index:03d}.mid", "wb", buffering=0) as file:
                file.write(data)


def make_thousand(seed: int, number: int) -> list[bytes]:
    """Return the bytes of one thousand of files."""
    random = np.random.default_rng([seed, number])
    tracks = _tracks(random)
    running = (random.random(PER_FOLDER) < 0.5)[tracks.file]
    rows, written, ends = _events(random, tracks, running)
    bounds = np.searchsorted(tracks.file, np.arange(PER_FOLDER + 1))
    heads = [_head(random) for _ in range(PER_FOLDER)]
    programs = random.integers(0, 96, len(tracks.file))

    def encode(index: int, shift: int = 0) -> bytes:
        parts = []
        for track in range(bounds[index], bounds[index + 1]):
            place = slice(ends[track], ends[track + 1])
            events, channel = rows[place], int(tracks.channel[track])
            if shift and channel != _DRUM_CHANNEL:
                events = events.copy()
                events[:, 3] += shift
            start = bytes((0, 0xC0 | channel, int(programs[track])))
            parts.append(start + events[written[place]].tobytes() + _END)
        return _file(heads[index], parts)

    files = [encode(index) for index in range(PER_FOLDER)]
    some = random.permutation(PER_FOLDER)
    copies, moved, broken = (round(PER_FOLDER * share) for share in (COPIES_SHARE, TRANSPOSED_SHARE, BROKEN_SHARE))
    for copy, original in zip(some[:copies], some[-copies:], strict=True):
        files[copy] = files[original]
    for copy, original in zip(some[copies : copies + moved], some[-copies - moved : -copies], strict=True):
        files[copy] = encode(original, int(random.integers(1, 7)))
    for index in some[copies + moved : copies + moved + broken]:
        files[index] = _break(files[index], random)
    return files


def _tracks(random: np.random.Generator) -> _Tracks:
    """Return the tracks of a thousand files: how many each has, on which channel, in which range, how long."""
    counts = random.integers(1, 5, PER_FOLDER)
    file = np.repeat(np.arange(PER_FOLDER), counts)
    place = np.arange(len(file)) - np.repeat(np.cumsum(counts) - counts, counts)
    with_drums = (random.random(PER_FOLDER) < 0.4)[file]
    is_drum = with_drums & (place == counts[file] - 1) & (counts[file] >= 3)
    tonics = random.integers(0, 12, PER_FOLDER)[file]
    lowest = np.where(is_drum, 35, 48 + tonics - 12 * (place % 3))
    length = random.integers(100, 601, PER_FOLDER)[file] // counts[file]
    return _Tracks(file, np.where(is_drum, _DRUM_CHANNEL, place), lowest, length)


def _events(
    random: np.random.Generator, tracks: _Tracks, running: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the note events of all tracks in order of time.

    Parameters
    ----------
    running
        Per track: whether it uses running status, its notes ended by a velocity of 0.

    Returns
    -------
    Events, shape (n, 5); which bytes are written, same shape; where each track starts, and the end of the last.
    """
    owner = np.repeat(np.arange(len(tracks.file)), tracks.length)
    firsts = np.cumsum(tracks.length) - tracks.length
    walk = _within(np.cumsum(random.choice(_STEPS, len(owner))), firsts, owner)
    degree = np.abs((walk + _DEGREES) % (2 * _DEGREES) - _DEGREES)  # a part turns at the ends of its range
    pitch = tracks.lowest[owner] + _SCALE[degree % 7] + 12 * (degree // 7)
    ticks = random.choice(_TICKS, len(owner))
    in_chord = random.random(len(owner)) < 0.15  # the next note starts with this one
    moves = np.where(in_chord, 0, ticks)
    onset = _within(np.cumsum(moves) - moves, firsts, owner)
    loud = random.integers(40, 110, len(owner))
    # Sorted by track, then time, note-offs first.
    keys = (owner << 40) | (np.concatenate([onset, onset + ticks - 10]).reshape(2, -1) << 1) | [[1], [0]]
    order = np.argsort(keys, axis=None, kind="stable")
    is_on, note = order < len(owner), order % len(owner)
    owner, time_ticks = owner[note], keys.reshape(-1)[order] >> 1 & 0x7FFFFFFF
    ends = np.concatenate([firsts, [len(pitch)]]) * 2
    delta = np.diff(time_ticks, prepend=0)
    delta[ends[:-1]] = time_ticks[ends[:-1]]
    quiet, status = running[owner], tracks.channel[owner] | 0x90
    rows = np.empty((len(order), 5), np.uint8)
    rows[:, 0], rows[:, 1] = delta >> 7 | 0x80, delta & 0x7F
    rows[:, 2] = np.where(is_on | quiet, status, status & 0x8F)
    rows[:, 3], rows[:, 4] = pitch[note], np.where(is_on, loud[note], np.where(quiet, 0, 64))
    written = np.ones(rows.shape, bool)
    written[:, 0] = delta > 127
    written[:, 2] = ~quiet
    written[ends[:-1], 2] = True
    return rows, written, ends


def _within(sums: np.ndarray, firsts: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return running sums that start at 0 in every track."""
    return sums - sums[firsts][owner]


def _head(random: np.random.Generator) -> bytes:
    """Return the events before the notes: name, metre, key, and one tempo or several."""
    top, bottom = _METRES[random.integers(len(_METRES))]
    tempo, *more = (int(60_000_000 / bpm) for bpm in random.integers(50, 180, random.integers(1, 6)))
    parts = [
        b"\x00\xff\x03\x05piece",
        bytes((0, 0xFF, 0x58, 4, top, bottom, 24, 8)),
        bytes((0, 0xFF, 0x59, 2, int(random.integers(-6, 7)) & 0xFF, 0)),
        b"\x00\xff\x51\x03" + tempo.to_bytes(3, "big"),
    ]
    parts += [b"\x9e\x00\xff\x51\x03" + later.to_bytes(3, "big") for later in more]  # two bars of 4/4 apart
    return b"".join(parts)


def _file(head: bytes, parts: list[bytes]) -> bytes:
    """Return a file: format 0 where there is one part, its events after the head's; else format 1."""
    tracks = [head + parts[0]] if len(parts) == 1 else [head + _END, *parts]
    chunks = [b"MThd", struct.pack(">IHHH", 6, int(len(tracks) > 1), len(tracks), TICKS_PER_BEAT)]
    for track in tracks:
        chunks += [b"MTrk", struct.pack(">I", len(track)), track]
    return b"".join(chunks)


def _break(data: bytes, random: np.random.Generator) -> bytes:
    """Return what is left of a file after a bad download or a bad disk."""
    at = int(random.integers(14, len(data)))
    return (
        data[:at],
        b"<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>",
        b"",
        data[:at] + b"\xff" * 64 + data[at + 64 :],
    )[random.integers(4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    write_files(options.folder, options.files, options.seed)
    print(f"{options.files / (time.perf_counter() - started):,.0f} files/s")


if __name__ == "__main__":
    main()
