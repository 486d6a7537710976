"""Parsed MIDI to notes: beats from ticks, bars from time signatures, and every note accounted for.

What the parser returns is walked without importing the parser.

Conventions
-----------
As in `farm.corpus.tables`. A note that ends when it begins, or whose note-off never comes, is dropped and counted.
"""

from typing import Any

import numpy as np

from farm.corpus.bars import bars_by_signature, is_signature, predominant_signature
from farm.corpus.reading import ROW, Reading, check_length, check_sum, counted, describe
from farm.corpus.scan import Scan
from farm.errors import ReadError


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
        `damaged` without a clock, `note-loss` when the parser lost a note without a word, `too-long`.
    """
    per_beat = score.ticks_per_quarter
    if per_beat <= 0:
        raise ReadError("damaged", "0 ticks per beat")
    tracks = [_rows(track, number, per_beat) for number, track in enumerate(score.tracks) if len(track.notes)]
    rows = np.concatenate([np.zeros(0, ROW), *tracks])
    kept = rows[(rows["duration_beat"] > 0) & (rows["velocity"] > 0) & (rows["onset_beat"] >= 0)]
    changes = [
        (mark.time / per_beat, f"{mark.numerator}/{mark.denominator}")
        for mark in score.time_signatures
        if is_signature(mark.numerator, mark.denominator)
    ]
    reading = Reading(label, file_format, kept, scan.notes)
    zero = int((rows["duration_beat"] <= 0).sum())
    reading.drops = counted(
        {"no-note-off": scan.unended, "zero-length": zero, "out-of-range": len(rows) - len(kept) - zero}
    )
    if not check_sum(reading):
        raise ReadError("note-loss", f"the file holds {scan.notes} notes, the reader returned {len(rows)}")
    check_length(reading)
    kept["bar"], kept["beat_in_bar"] = bars_by_signature(kept["onset_beat"], changes)
    tempos = [] if scan.is_smpte else [(mark.time / per_beat, mark.qpm) for mark in score.tempos]
    reading = describe(reading, tempos)
    reading.time_signature = predominant_signature(changes, reading.duration_beats)
    return reading


def _rows(track: Any, number: int, per_beat: int) -> np.ndarray:
    notes = track.notes.numpy()
    rows = np.zeros(len(notes["time"]), ROW)
    rows["track"], rows["program"], rows["is_drum"] = number, track.program, track.is_drum
    rows["onset_beat"] = notes["time"] / per_beat
    rows["duration_beat"] = notes["duration"] / per_beat
    rows["pitch"], rows["velocity"] = notes["pitch"], notes["velocity"]
    return rows
