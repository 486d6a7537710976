"""ABC text to notes: a file cut into its tunes, and a walk over the parser's tokens.

The tokens are walked here because turning them into a full score costs ten times as much and loses notes on the
way: those under a text that starts with '>', and the right time of voices that take turns line by line.

Conventions
-----------
A tune's *label* is its `X:` number; the second tune of a number is labelled '7.2'. A file of one tune needs no label.
"""

import re
from collections.abc import Iterable
from typing import Any

from farm.corpus.bars import is_signature
from farm.corpus.scores import Part

_TUNE = re.compile(r"^X:[ \t]*(\S*)", re.MULTILINE)
_PITCH = re.compile(r"([A-G])([#n-]*)(\d+)")
_FILE_FIELDS = re.compile(r"^(?:[LMIOQRCBDFGHNSUZ]:|%abc).*$", re.MULTILINE)
_MUSIC_LINE = re.compile(r"^(?![A-Za-z]:|%).*$", re.MULTILINE)
_NO_MUSIC = re.compile(r'("[^"]*"|![^!]*!|\[[A-Za-z]:[^\]]*\]|%.*)')
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def split_tunes(text: str) -> list[tuple[str, str]]:
    """Return label and text of every tune of an ABC file; fields before the first tune are given to each.

    A file without a tune number is one tune.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found = list(_TUNE.finditer(text))
    if len(found) < 2:
        return [("", text)]
    shared = "".join(f"{line}\n" for line in _FILE_FIELDS.findall(text[: found[0].start()]))
    bounds = [match.start() for match in found] + [len(text)]
    tunes, seen = [], dict[str, int]()
    for match, end in zip(found, bounds[1:], strict=True):
        label = match[1]
        seen[label] = seen.get(label, 0) + 1
        tunes.append((label if seen[label] == 1 else f"{label}.{seen[label]}", shared + text[match.start() : end]))
    return tunes


def plain_rests(text: str) -> str:
    """Return a tune with invisible rests written as visible ones: the parser passes over the former and their time.

    >>> plain_rests('K:C\\n"x"c x2 [V:x]|')
    'K:C\\n"x"c z2 [V:x]|'
    """

    def rewrite(line: re.Match[str]) -> str:
        pieces = _NO_MUSIC.split(line[0])
        return "".join(piece if index % 2 else piece.replace("x", "z") for index, piece in enumerate(pieces))

    return _MUSIC_LINE.sub(rewrite, text)


def walk_tokens(tokens: Iterable[Any]) -> list[Part]:
    """Return one part per voice of a tune, in order of appearance.

    Fields before the first voice hold for every voice; a voice goes on where it stopped when its name comes again.
    """
    common, voices = _Voice(), dict[str, _Voice]()
    voice = common
    for token in tokens:
        kind = type(token).__name__
        if kind == "ABCMetadata":
            if token.isVoice():
                name = token.data.split()[0] if token.data.split() else ""
                voice = voices.setdefault(name, _Voice(common))
                voice.read_clef(token.data)
            else:
                voice.read_field(token)
        elif kind == "ABCBar":
            voice.has_bar = True
        elif kind in ("ABCNote", "ABCChord"):
            voice.read_note(token)
    parts = [each.part for each in voices.values()]
    return [common.part, *parts] if common.part.onsets or not parts else parts


class _Voice:
    """One voice while it is walked."""

    def __init__(self, common: "_Voice | None" = None) -> None:
        self.part = Part()
        self.onset = 0.0
        self.has_bar = True
        self.transpose: int = common.transpose if common else 0
        if common:
            self.part.signatures = [(0.0, signature) for _, signature in common.part.signatures[-1:]]
            self.part.tempos = [(0.0, bpm) for _, bpm in common.part.tempos[-1:]]

    def read_field(self, token: Any) -> None:
        if token.isMeter():
            meter = token.getTimeSignatureParameters()
            if meter is not None and is_signature(meter[0], meter[1]):
                self.part.signatures.append((self.onset, f"{meter[0]}/{meter[1]}"))
        elif token.isTempo():
            mark = token.getMetronomeMarkObject()
            bpm = mark.getQuarterBPM() if mark is not None else None
            if bpm:
                self.part.tempos.append((self.onset, float(bpm)))
        elif token.isKey():
            self.read_clef(token.data)

    def read_clef(self, data: str) -> None:
        """Take over what moves the sound: 'treble-8', 'octave=-1', 'transpose=2'; plain clefs do not."""
        moved = [12 if match == "+" else -12 for match in re.findall(r"(?:treble|alto|tenor|bass)\d?([+-])8", data)]
        moved += [12 * int(match) for match in re.findall(r"octave=([+-]?\d)(?!\d)", data)]
        moved += [int(match) for match in re.findall(r"transpose=([+-]?\d{1,2})(?!\d)", data)]
        if moved:
            self.transpose = sum(moved)

    def read_note(self, token: Any) -> None:
        is_chord = type(token).__name__ == "ABCChord"
        notes = token.subTokens if is_chord else [token]
        pitches = [pitch for pitch in (midi_pitch(note.pitchName) for note in notes) if pitch is not None]
        if token.inGrace:
            self.part.drops["grace"] += len(pitches)
            return
        if self.has_bar:
            self.part.measures.append(self.onset)
            self.has_bar = False
        duration = float(token.quarterLength)
        if token.activeTuplet is not None:
            duration *= float(token.activeTuplet.tupletMultiplier())
        for pitch in pitches:
            self.part.add(self.onset, duration, pitch + self.transpose, token.tie)
        self.onset += duration
        self.part.end = max(self.part.end, self.onset)


def midi_pitch(name: str | None) -> int | None:
    """Return the MIDI number of a pitch name such as 'C#5' or 'B-4'; None for a rest or a sign that is no pitch.

    >>> midi_pitch("C4"), midi_pitch("B-4"), midi_pitch("F##5"), midi_pitch(None)
    (60, 70, 79, None)
    """
    match = _PITCH.fullmatch(name or "")
    if match is None:
        return None
    step, accidentals, octave = match.groups()
    return 12 * (int(octave) + 1) + _STEPS[step] + accidentals.count("#") - accidentals.count("-")
