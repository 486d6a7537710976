"""Note arrays to files that people open: MIDI, MusicXML and WAV, by the ending of the name.

Conventions
-----------
Notes are note arrays (`farm.music.encoding.NOTE`), in beats. Equal arguments give equal bytes: no dates, no
random numbers, no names of machines.

What is lost: on a keyboard a key is either down or up. A note struck again while it sounds ends where it is
struck again, and of equal notes struck together the longest stays.
"""

from pathlib import Path, PurePath

import numpy as np

from farm.composing.midi_file import midi_file
from farm.composing.notation import Sheet
from farm.errors import FarmError
from farm.music.encoding import N_PITCHES

TICKS_PER_BEAT = 480
ENDINGS = (".mid", ".midi", ".musicxml", ".xml", ".wav")


def render(notes: np.ndarray, name: str, sheet: Sheet, *, transpose: int = 0, soundfont: Path | None = None) -> bytes:
    """Return the bytes of the file `name`: MIDI, MusicXML or WAV by its ending.

    Parameters
    ----------
    notes
        Note array, any order; none give a valid empty file.
    transpose
        Semitones up, or down when negative.
    soundfont
        What a WAV file sounds like; a built-in tone when None.

    Raises
    ------
    FarmError
        For an ending that cannot be written, a tempo or program out of range, a transposition that leaves
        the range of MIDI, or a SoundFont that cannot be played.
    """
    ending = PurePath(name).suffix.lower()
    if ending not in ENDINGS:
        raise FarmError(f"{name}: cannot write a '{ending}' file; give a name that ends in {', '.join(ENDINGS)}")
    check_tempo(name, sheet.tempo_bpm)
    if not 0 <= sheet.program < 128:
        raise FarmError(f"{name}: program {sheet.program} is not a General MIDI program; give 0 to 127")
    if soundfont is not None and ending != ".wav":
        raise FarmError(f"{name}: a SoundFont is for sound; give a name that ends in .wav")
    notes = playable(transposed(notes, transpose))
    if ending in (".mid", ".midi"):
        return midi_file(notes, sheet, TICKS_PER_BEAT)
    if ending == ".wav":
        from farm.composing.sound import check_length, wav

        if soundfont is None:
            return wav(notes, sheet.tempo_bpm)
        from farm.composing.soundfont import soundfont_wav

        check_length(notes, sheet.tempo_bpm)
        return soundfont_wav(midi_file(notes, sheet, TICKS_PER_BEAT), soundfont)
    from farm.composing.score import musicxml

    return musicxml(notes, sheet)


def check_tempo(name: str, tempo_bpm: float) -> None:
    """Raise FarmError, with `name` before it, for a tempo that nobody plays."""
    if not 4 <= tempo_bpm <= 1000:
        raise FarmError(f"{name}: a tempo of {tempo_bpm:g} beats a minute is out of range; give 4 to 1000")


def transposed(notes: np.ndarray, semitones: int) -> np.ndarray:
    """Return a copy moved by `semitones`; FarmError, with what is possible, when a note would leave 0 to 127."""
    moved = notes.copy()
    if len(notes) == 0:
        return moved
    down, up = -int(notes["pitch"].min()), N_PITCHES - 1 - int(notes["pitch"].max())
    if not down <= semitones <= up:
        raise FarmError(f"transpose: {semitones} semitones leave the range of MIDI; give {down} to {up} for this piece")
    moved["pitch"] += semitones
    return moved


def playable(notes: np.ndarray) -> np.ndarray:
    """Return the notes as one keyboard can play them, ordered by onset and pitch: no pitch sounds twice at once.

    Onsets and durations are kept to the tick; notes shorter than one become one tick long.
    """
    onset = np.rint(notes["onset_beat"] * TICKS_PER_BEAT).astype(np.int64)
    length = np.maximum(np.rint(notes["duration_beat"] * TICKS_PER_BEAT).astype(np.int64), 1)
    order = np.lexsort((-length, onset, notes["pitch"]))
    notes, onset, length = notes[order].copy(), onset[order], length[order]
    together = (np.diff(notes["pitch"], prepend=-1) == 0) & (np.diff(onset, prepend=-1) == 0)
    notes, onset, length = notes[~together], onset[~together], length[~together]
    struck_again = np.append(notes["pitch"][1:] == notes["pitch"][:-1], False)[: len(notes)]
    until_next = np.append(np.diff(onset), 0)[: len(notes)]
    length = np.where(struck_again, np.minimum(length, until_next), length)
    notes["duration_beat"] = length / TICKS_PER_BEAT
    notes["onset_beat"] = onset / TICKS_PER_BEAT
    return notes[np.lexsort((notes["pitch"], onset))]
