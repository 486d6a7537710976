"""Note arrays to MusicXML: a score for reading, on one staff or two.

Conventions
-----------
Those of `farm.composing.notation`, which decides what is written; here it is only spelled out as XML. A *place*
is staff, voice within it (both from 1) and the number of staves. The file holds no dates.
"""

import xml.etree.ElementTree as ET

import numpy as np

from farm.composing.beams import beams, group_length
from farm.composing.notation import (
    MAX_VOICES,
    PER_BEAT,
    VALUES,
    Chord,
    Sheet,
    accidentals,
    nearest_signature,
    spelled,
    split_length,
    staves_of,
    voices_of,
)


def musicxml(notes: np.ndarray, sheet: Sheet) -> bytes:
    """Return a MusicXML 4.0 score of a note array; no notes give one empty bar."""
    beats, unit = sheet.metre
    bar = beats * 4 * PER_BEAT // unit
    fifths, minor = sheet.signature or (nearest_signature(notes), False)
    staves = staves_of(notes)
    voices = [voices_of(rows) for rows in staves]
    last = max((chord.end for staff in voices for voice in staff for chord in voice), default=1)
    root = ET.Element("score-partwise", version="4.0")
    _add(root, "movement-title", _printable(sheet.title))
    part_list = ET.SubElement(root, "part-list")
    _add(ET.SubElement(part_list, "score-part", id="P1"), "part-name", "Piano" if sheet.program < 8 else "Part")
    part = ET.SubElement(root, "part", id="P1")
    n_bars = -(-last // bar)
    for number in range(n_bars):
        measure = ET.SubElement(part, "measure", number=str(number + 1))
        if number == 0:
            _attributes(measure, sheet, fifths, minor, staves)
        span = (number * bar, (number + 1) * bar)
        for staff, staff_voices in enumerate(voices, start=1):
            signs = accidentals(staff_voices, span, fifths)
            for voice, chords in enumerate(staff_voices):
                if voice > 0 and not any(chord.start < span[1] and chord.end > span[0] for chord in chords):
                    continue
                if len(measure.findall("note")) > 0:
                    _add(ET.SubElement(measure, "backup"), "duration", str(bar))
                place = (staff, voice + 1, len(staves))
                _write_voice(measure, chords, span, place, (fifths, group_length(sheet.metre)), signs)
    barline = ET.SubElement(part[-1], "barline", location="right")
    _add(barline, "bar-style", "light-heavy")
    ET.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head.encode() + ET.tostring(root, encoding="utf-8") + b"\n"


def _attributes(measure: ET.Element, sheet: Sheet, fifths: int, minor: bool, staves: list[np.ndarray]) -> None:
    attributes = ET.SubElement(measure, "attributes")
    _add(attributes, "divisions", str(PER_BEAT))
    key = ET.SubElement(attributes, "key")
    _add(key, "fifths", str(fifths))
    _add(key, "mode", "minor" if minor else "major")
    time = ET.SubElement(attributes, "time")
    _add(time, "beats", str(sheet.metre[0]))
    _add(time, "beat-type", str(sheet.metre[1]))
    low = len(staves) == 1 and len(staves[0]) > 0 and float(np.median(staves[0]["pitch"])) < 57
    clefs = ["GF"[int(low)]] if len(staves) == 1 else ["G", "F"]
    if len(clefs) > 1:
        _add(attributes, "staves", str(len(clefs)))
    for number, sign in enumerate(clefs, start=1):
        clef = ET.SubElement(attributes, "clef", number=str(number))
        _add(clef, "sign", sign)
        _add(clef, "line", "2" if sign == "G" else "4")
    direction = ET.SubElement(measure, "direction", placement="above")
    metronome = ET.SubElement(ET.SubElement(direction, "direction-type"), "metronome")
    _add(metronome, "beat-unit", "quarter")
    _add(metronome, "per-minute", f"{sheet.tempo_bpm:g}")
    ET.SubElement(direction, "sound", tempo=f"{sheet.tempo_bpm:g}")


def _write_voice(
    measure: ET.Element,
    chords: list[Chord],
    span: tuple[int, int],
    place: tuple[int, int, int],
    reading: tuple[int, int],
    signs: dict[tuple[int, int], str],
) -> None:
    """Write one voice of one bar.

    `place` is staff, voice and number of staves, `reading` the key's fifths and the length that beams keep to.
    """
    at = span[0]
    fifths, group = reading
    written: list[tuple[tuple[int, int], ET.Element]] = []
    for chord in chords:
        start, end = max(chord.start, span[0]), min(chord.end, span[1])
        if start >= end:
            continue
        _write_rest(measure, at, start - at, place)
        at = start
        for value in split_length(start, end - start):
            ties = [name for name, tied in (("stop", at > chord.start), ("start", at + value < chord.end)) if tied]
            for number, pitch in enumerate(chord.pitches):
                sign = signs.get((at, pitch)) if at == chord.start else None
                note = _note(measure, value, place, (spelled(pitch, fifths), number > 0, ties, sign))
                if number == 0:
                    written.append(((at - span[0], value), note))
            at += value
    for states, (_, note) in zip(beams([rhythm for rhythm, _ in written], group), written, strict=True):
        _add_beams(note, states)
    if at == span[0]:
        _whole_rest(measure, span[1] - at, place)
    else:
        _write_rest(measure, at, span[1] - at, place)


def _write_rest(measure: ET.Element, start: int, length: int, place: tuple[int, int, int]) -> None:
    """Write a gap: rests in the first voice of a staff, nothing to see in the others."""
    if length > 0 and place[1] > 1:
        forward = ET.SubElement(measure, "forward")
        _add(forward, "duration", str(length))
        return
    for value in split_length(start, length):
        _note(measure, value, place, None)


def _whole_rest(measure: ET.Element, length: int, place: tuple[int, int, int]) -> None:
    note = ET.SubElement(measure, "note")
    ET.SubElement(note, "rest", measure="yes")
    _add(note, "duration", str(length))
    _add(note, "voice", str((place[0] - 1) * MAX_VOICES + place[1]))
    if place[2] > 1:
        _add(note, "staff", str(place[0]))


def _note(
    measure: ET.Element,
    value: int,
    place: tuple[int, int, int],
    sounding: tuple[tuple[str, int, int], bool, list[str], str | None] | None,
) -> ET.Element:
    """Write one note, or a rest when nothing sounds: (spelling, in a chord, ties, accidental)."""
    note = ET.SubElement(measure, "note")
    ties: list[str] = []
    sign = None
    if sounding is None:
        ET.SubElement(note, "rest")
    else:
        (letter, alter, octave), in_chord, ties, sign = sounding
        if in_chord:
            ET.SubElement(note, "chord")
        pitch = ET.SubElement(note, "pitch")
        _add(pitch, "step", letter)
        if alter:
            _add(pitch, "alter", str(alter))
        _add(pitch, "octave", str(octave))
    _add(note, "duration", str(value))
    for tie in ties:
        ET.SubElement(note, "tie", type=tie)
    _add(note, "voice", str((place[0] - 1) * MAX_VOICES + place[1]))
    kind, dots, triplet = VALUES[value]
    _add(note, "type", kind)
    for _ in range(dots):
        ET.SubElement(note, "dot")
    if sign:
        _add(note, "accidental", sign)
    if triplet:
        ratio = ET.SubElement(note, "time-modification")
        _add(ratio, "actual-notes", "3")
        _add(ratio, "normal-notes", "2")
    if place[2] > 1:
        _add(note, "staff", str(place[0]))
    if ties:
        notations = ET.SubElement(note, "notations")
        for tie in ties:
            ET.SubElement(notations, "tied", type=tie)
    return note


def _add_beams(note: ET.Element, states: tuple[str, ...]) -> None:
    """Write the beams of a note where the format wants them: before its ties."""
    at = next((place for place, part in enumerate(note) if part.tag == "notations"), len(note))
    for number, state in enumerate(states, start=1):
        beam = ET.Element("beam", number=str(number))
        beam.text = state
        note.insert(at + number - 1, beam)


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


def _printable(text: str) -> str:
    """Return text without the control characters that XML forbids."""
    return "".join(character for character in text if character.isprintable())
