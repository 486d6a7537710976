"""Bytes to readings. The one door to symusic (MIDI) and music21 (scores); it runs inside `farm.corpus.sandbox`.

What a file is, its first bytes say, not its name. Nothing is read from or written to disk here, so that no cache can
hand back the notes of another file.

Conventions
-----------
MIDI is read strictly; where that fails it is mended (see `farm.corpus.mend`) and read again, its format is then
'midi-repaired' and `repaired` says what was wrong. More than `MOST_LOST` of it gone is refused. Film-time MIDI files
(SMPTE) are taken as two beats a second. A format 2 MIDI file holds sequences that do not sound together: each is a
tune, of format 'midi-2'.
"""

import io
import re
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any
from xml.etree import ElementTree

from farm.corpus import abc_tunes, midi, scores
from farm.corpus.mend import rebuild
from farm.corpus.reading import Reading
from farm.corpus.scan import FRAMES_PER_SECOND, Counter, Scan, count_tracks, scan_midi, unwrap
from farm.errors import ReadError

MAX_TEXT_BYTES = 64 << 20
MOST_LOST = 0.5
_HEAD_BYTES = 4096
_MXL_SUFFIXES = (".xml", ".musicxml")


def sniff(data: bytes) -> str:
    """Return what the bytes are: midi, mxl, musicxml, mei, kern or abc.

    Raises
    ------
    ReadError
        `not-music`, with what was found instead.
    """
    if unwrap(data) is not None:
        return "midi"
    if data[:4] == b"PK\x03\x04":
        return "mxl"
    head = data[:_HEAD_BYTES]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head.decode("utf-16", "replace").encode()
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:1] == b"<":
        for mark, name in ((rb"<score-(part|time)wise\b", "musicxml"), (rb"<mei\b", "mei")):
            if re.search(mark, head):
                return name
    if re.search(rb"^\*\*kern\b", data[: 8 * _HEAD_BYTES], re.MULTILINE):
        return "kern"
    if re.search(rb"^X:", data, re.MULTILINE) and re.search(rb"^K:", data, re.MULTILINE):
        return "abc"
    raise ReadError("not-music", f"starts with {data[:12]!r}" if data else "the file is empty")


def read_file(data: bytes, path: str, count: Counter = count_tracks) -> list[Reading]:
    """Return the tunes of one file; most files hold one.

    Parameters
    ----------
    path
        The file's name, for messages only.
    count
        The scanner's loop, plain or compiled.

    Returns
    -------
    At least one reading, in the order of the file. A tune that failed has a `failure` and no notes.

    Raises
    ------
    ReadError
        When nothing of the file can be read.
    """
    kind = sniff(data)
    if kind == "midi":
        return _read_midi(unwrap(data) or b"", count)
    if kind == "abc":
        return [_tune(label, kind, partial(_abc_parts, text)) for label, text in _abc_texts(data)]
    if kind == "kern":
        found = _guarded(kind, lambda: _parse_kern(_text(data)))
    elif kind == "mei":
        found = _guarded(kind, lambda: [_parse_mei(_text(data))])
    else:
        kind = "musicxml"
        found = _guarded(kind, lambda: [_parse_musicxml(_unzip(data) if data[:2] == b"PK" else data)])
    labels = [""] if len(found) == 1 else [str(number) for number in range(1, len(found) + 1)]
    walks = zip(labels, found, strict=True)
    readings = [_tune(label, kind, partial(scores.walk_score, score)) for label, score in walks]
    if not readings:
        raise ReadError("no-notes", f"{path} holds no score")
    return readings


def _tune(label: str, kind: str, walk: Callable[[], list[scores.Part]]) -> Reading:
    """Return one tune; what is wrong with it becomes its `failure`, so that its neighbours are read."""
    try:
        return scores.assemble(label, kind, _guarded(kind, walk))
    except ReadError as error:
        return Reading(label, kind, failure=str(error))


def _guarded(kind: str, work: Callable[[], Any]) -> Any:
    """Run a foreign parser; whatever it raises is about the file, not about the farm."""
    try:
        return work()
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # music21 meets damaged files with errors of any type, from KeyError to its own
        raise ReadError("damaged", f"{kind}: {type(error).__name__}: {str(error)[:200]}") from error


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _abc_texts(data: bytes) -> list[tuple[str, str]]:
    return abc_tunes.split_tunes(_text(data))


def _abc_parts(text: str) -> list[scores.Part]:
    from music21 import abcFormat

    return abc_tunes.walk_tokens(abcFormat.ABCFile().readstr(abc_tunes.plain_rests(text)).tokens)


def _parse_kern(text: str) -> list[Any]:
    from music21.humdrum import spineParser

    parsed = spineParser.HumdrumDataCollection(text.splitlines()).parse()
    return list(parsed.scores) if "Opus" in parsed.classSet else [parsed]


def _parse_mei(text: str) -> Any:
    from music21.mei import MeiToM21Converter

    return MeiToM21Converter(text).run()


def _parse_musicxml(data: bytes) -> Any:
    from music21.musicxml import xmlToM21

    root = ElementTree.fromstring(data)
    if root.tag != "score-partwise":
        raise ReadError("unsupported", f"MusicXML with <{root.tag}>; save it as partwise MusicXML")
    importer = xmlToM21.MusicXMLImporter()
    importer.xmlRoot = root
    importer.xmlRootToScore(root, importer.stream)
    return importer.stream


def _unzip(data: bytes) -> bytes:
    """Return the score inside a compressed MusicXML file: the container's root file, else the first XML file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(_MXL_SUFFIXES)]
        names = [name for name in names if not name.startswith("META-INF/")]
        if "META-INF/container.xml" in archive.namelist():
            with archive.open("META-INF/container.xml") as file:
                container = ElementTree.fromstring(file.read(_HEAD_BYTES * 16))
            named = [element.get("full-path", "") for element in container.iter() if element.tag.endswith("rootfile")]
            names = [name for name in named if name in archive.namelist()][:1] or names
        if not names:
            raise ReadError("not-music", "a zip file without MusicXML in it")
        with archive.open(names[0]) as file:
            text = file.read(MAX_TEXT_BYTES + 1)
    if len(text) > MAX_TEXT_BYTES:
        raise ReadError("too-big", f"{names[0]} is larger than {MAX_TEXT_BYTES} bytes once unpacked")
    return text


def _read_midi(data: bytes, count: Counter) -> list[Reading]:
    scan = scan_midi(data, count)
    if scan.format != 2 or len(scan.tracks) == 1:
        return [_midi_tune("", data, scan)]
    readings = []
    for number in range(len(scan.tracks)):
        alone = rebuild(data, scan.division, [scan.tracks[number]], mended=False)
        try:
            reading = _midi_tune(str(number + 1), alone, scan_midi(alone, count))
        except ReadError as error:
            reading = Reading(str(number + 1), "midi", failure=str(error))
        reading.format = reading.format.replace("midi", "midi-2", 1)
        readings.append(reading)
    return readings


def _midi_tune(label: str, data: bytes, scan: Scan) -> Reading:
    """Return the tune of a MIDI file, read strictly, else mended and read again."""
    from symusic import Score

    if scan.lost_share > MOST_LOST:
        raise ReadError("truncated" if scan.is_truncated else "damaged", f"{scan.damage}, {_lost(scan)}")
    wrong = scan.damage or ("" if scan.format in (0, 1, 2) else f"the header names format {scan.format}")
    if not wrong and not scan.is_smpte:
        try:
            return midi.read_score(label, "midi", Score.from_midi(data), scan)
        except RuntimeError as error:
            wrong = _parser_words(str(error))
        except ReadError as error:
            wrong = error.detail
    plain = rebuild(data, _division(scan), scan.tracks, mended=bool(wrong))
    score = _guarded("midi", lambda: Score.from_midi(plain, sanitize_data=True))
    reading = midi.read_score(label, "midi-smpte" if scan.is_smpte else "midi", score, scan)
    if wrong:
        reading.format, reading.repaired = f"{reading.format}-repaired", wrong
        if scan.lost_share:
            reading.repaired += f", {_lost(scan)}"
    return reading


def _division(scan: Scan) -> int:
    """Return ticks a beat; film time has two beats a second.

    Raises
    ------
    ReadError
        `damaged` for frames that no film has.
    """
    if not scan.is_smpte:
        return scan.division
    frames, ticks = 256 - (scan.division >> 8), scan.division & 0xFF
    if frames not in FRAMES_PER_SECOND:
        raise ReadError("damaged", f"film time of {frames} frames a second; known are 24, 25, 29 and 30")
    return frames * ticks // 2


def _parser_words(message: str) -> str:
    """Return what symusic says of a file as a person would.

    >>> _parser_words("Get velocity=128"), _parser_words("MiniMidi: Invalid chunk length: iostream error")
    ('a value out of range, velocity=128', 'Invalid chunk length')
    """
    message = message.removeprefix("MiniMidi: ").removesuffix(": iostream error")[:200]
    return f"a value out of range, {message[4:]}" if message.startswith("Get ") else message


def _lost(scan: Scan) -> str:
    return f"{scan.lost_share:.0%} of its bytes are lost"
