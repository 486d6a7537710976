"""Parsed MIDI to a reading: beats from ticks, bars from time signatures, and what the parser cannot have returned.

What the parser returns is walked without importing the parser.

Conventions
-----------
As in `farm.corpus.reading`. Notes that end when they begin are passed on, to be counted and dropped with those of all
formats; a note whose note-off never comes is no note of the parser's and counted here.
"""

from typing import Any

import numpy as np

from farm.corpus.bars import bars_by_signature, is_signature, predominant_signature
from farm.corpus.reading import MAX_BEATS, SILENCE, SOUND_TYPES, Reading, Sounds, counted
from farm.corpus.scan import MAX_TRACKS, Scan
from farm.errors import ReadError

_COLUMNS = ("time", "duration", "pitch", "velocity")


def read_score(label: str, file_format: str, score: Any, scan: Scan) -> Reading:
    """Return the notes of a MIDI file, checked against the scanner's count.

    Parameters
    ----------
    score
        What the MIDI parser returned, times in ticks.
    scan
        The same bytes as `scan_midi` counted them.

    Raises
    ------
    ReadError
        `damaged` without a clock, `note-loss` when the parser lost a note without a word, `too-big` when the parser
        makes more tracks of the file's, one for each instrument in them, than a file may have.
    """
    per_beat = score.ticks_per_quarter
    if per_beat <= 0:
        raise ReadError("damaged", "0 ticks per beat")
    if len(score.tracks) > MAX_TRACKS:
        raise ReadError("too-big", f"{len(score.tracks)} instruments, at most {MAX_TRACKS} are read")
    tracks = [track.notes.numpy() for track in score.tracks]
    counts = [len(notes["time"]) for notes in tracks]
    if sum(counts) + scan.unended + scan.outside != scan.notes:
        absent = f"{scan.unended} have no end, {scan.outside} no pitch"
        detail = f"the file holds {scan.notes} notes, the reader returned {sum(counts)}, {absent}"
        raise ReadError("note-loss", detail)
    sounds = SILENCE
    if tracks:
        columns = (np.concatenate([notes[name] for notes in tracks]) for name in _COLUMNS)
        sounds = Sounds(*(column.astype(dtype, copy=False) for column, dtype in zip(columns, SOUND_TYPES, strict=True)))
    changes = [
        (mark.time / per_beat, f"{mark.numerator}/{mark.denominator}")
        for mark in score.time_signatures
        if is_signature(mark.numerator, mark.denominator)
    ]
    return Reading(
        label,
        file_format,
        [(track.program, track.is_drum, count) for track, count in zip(score.tracks, counts, strict=True)],
        per_beat,
        notes_in_file=scan.notes,
        drops=counted({"no-note-off": scan.unended, "out-of-range": scan.outside}),
        tempos=[] if scan.is_smpte else [(mark.time / per_beat, mark.qpm) for mark in score.tempos],
        bars=bars_by_signature(changes),
        time_signature=predominant_signature(changes, min(score.end() / per_beat, MAX_BEATS)),
        sounds=sounds,
    )
