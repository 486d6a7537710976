"""Bytes to notes: MIDI held against the scanner's count, and scores in four formats."""

import io
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import farm
from farm.config import Filters
from farm.corpus import clock, readers, scan
from farm.corpus.bars import bars_by_signature, lay_bars
from farm.corpus.compiled import compiled_counter
from farm.corpus.describing import describe
from farm.corpus.mend import rebuild
from farm.errors import ReadError

END = b"\x00\xff\x2f\x00"
TUNE = (60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65, 64, 62, 60, 67, 64, 60)


def varlen(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def event(delta: int, *data: int) -> bytes:
    return varlen(delta) + bytes(data)


def midi(*tracks: bytes, kind: int = 1, division: int = 480) -> bytes:
    chunks = (b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)
    return b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), division) + b"".join(chunks)


def melody(pitches=TUNE, channel: int = 0, ticks: int = 240, velocity: int = 80) -> bytes:
    notes = (event(0, 0x90 | channel, p, velocity) + event(ticks, 0x80 | channel, p, 0) for p in pitches)
    return b"".join(notes) + END


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def musicxml(measures: str) -> bytes:
    return (
        '<?xml version="1.0"?><score-partwise version="3.1"><part-list><score-part id="P1"><part-name>A</part-name>'
        f'</score-part></part-list><part id="P1">{measures}</part></score-partwise>'
    ).encode()


def xml_note(step: str, octave: int, duration: int, extra: str = "", before: str = "") -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    length = f"<duration>{duration}</duration>" if "<grace" not in before else ""
    return f"<note>{before}{pitch}{length}<voice>1</voice>{extra}</note>"


TIE = '<tie type="start"/>'
ATTRIBUTES = "<attributes><divisions>2</divisions><time><beats>3</beats><beat-type>4</beat-type></time></attributes>"


ALL = Filters(drums="keep")


class Told:
    """One tune as the tables will have it: what its reader says, its rows in order, its facts."""

    def __init__(self, reading, filters=ALL):
        described = describe([reading], filters)
        self.reading = reading
        self.rows = described.notes
        self.facts = {name: values[0] for name, values in described.facts.items()}

    def __getattr__(self, name):
        return self.facts[name] if name in self.facts else getattr(self.reading, name)


def one(data: bytes, filters=ALL):
    (reading,) = readers.read_file(data, "test")
    assert reading.failure is None, reading.failure
    return Told(reading, filters)


def outcome(data: bytes):
    """Return the readings, and the reason why there are none."""
    try:
        return readers.read_file(data, "test"), None
    except ReadError as error:
        return [], error.reason


# --- the scanner, and what symusic returns


def test_scanner_counts_running_status_drums_and_silent_note_ons():
    track = b"".join(
        [
            event(0, 0x90, 60, 64),
            event(10, 62, 64),  # running status
            event(0, 0xFF, 0x01, 2, 65, 66),  # a text does not end it
            event(10, 60, 0),  # velocity 0 ends a note
            event(0, 0xF0, 2, 1, 0xF7),
            event(10, 0x80, 62, 0),
            event(0, 0x99, 36, 100),
            event(5, 0x89, 36, 0),
            event(0, 0xC3, 5),
            event(0, 0x93, 70, 1),  # never ends
            END,
            event(0, 0x90, 1, 1),  # after the end of the track
        ]
    )
    found = scan.scan_midi(midi(track))
    assert found.notes_by_channel == (2, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    assert (found.notes, found.unended, found.damage) == (4, 1, "")


def test_drops_are_itemised_and_add_up():
    track = event(0, 0x90, 50, 9) + event(0, 0x90, 60, 9) + event(0, 0x80, 60, 0) + melody()
    reading = one(midi(track))
    assert reading.notes_dropped == {"no-note-off": 1, "zero-length": 1}
    assert reading.notes_in_file == reading.facts["notes"] + 2 == len(TUNE) + 2


def test_notes_beyond_the_longest_piece_are_dropped_and_counted():
    gap = event(0x0FFFFFFF, 0x90, 60, 9) + event(1, 0x80, 60, 0)
    reading = one(midi(melody()[: -len(END)] + gap + END, division=96))
    assert reading.notes_dropped == {"beyond-limit": 1}
    assert (reading.facts["notes"], reading.failure) == (len(TUNE), None)
    alone = one(midi(gap + END, division=1))
    assert alone.facts["failure"].startswith("too-long")


def test_drums_and_instruments_are_left_out_as_the_filters_say():
    violin = event(0, 0xC1, 40) + melody(channel=1)
    data = midi(melody(), violin, melody(channel=9))
    counts = {
        (tracks, drums): one(data, Filters(tracks=tracks, drums=drums)).notes_dropped
        for tracks in ("all", "piano")
        for drums in ("keep", "drop")
    }
    n = len(TUNE)
    assert counts == {
        ("all", "keep"): {},
        ("all", "drop"): {"drums": n},
        ("piano", "keep"): {"other-instrument": n},
        ("piano", "drop"): {"drums": n, "other-instrument": n},
    }
    assert one(midi(violin), Filters(tracks="piano")).facts["failure"] == "no-piano"
    assert one(midi(melody(channel=9)), Filters()).facts["failure"] == "drums-only"


def test_the_melody_is_the_line_on_top():
    above = melody((72, 76, 79), ticks=480)
    below = melody((60, 64, 60, 64, 60, 64, 50), ticks=240)  # its last note stands alone: nothing sounds above
    reading = one(midi(below, above), Filters(tracks="melody"))
    assert reading.rows["pitch"].tolist() == [72, 76, 79, 50]
    assert reading.notes_dropped == {"not-melody": 6}


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 300), st.sampled_from([0x80, 0x90, 0x91, 0x99, 0x89]), st.integers(0, 127), st.integers(0, 127)
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=3))
def test_no_note_is_lost_in_any_order_of_events(tracks):
    data = midi(*(b"".join(event(*each) for each in track) + END for track in tracks))
    reading = one(data)
    expected = sum(kind & 0xF0 == 0x90 and velocity > 0 for track in tracks for _, kind, _, velocity in track)
    assert reading.notes_in_file == expected == reading.facts["notes"] + sum(reading.notes_dropped.values())
    rows = reading.rows
    assert (np.diff(rows["onset_beat"]) >= 0).all()
    assert (rows["duration_beat"] > 0).all()
    assert ((rows["beat_in_bar"] >= 0) & (rows["beat_in_bar"] < 4)).all()
    assert np.allclose(rows["bar"] * 4 + rows["beat_in_bar"], rows["onset_beat"])
    assert np.allclose(rows["onset_second"], rows["onset_beat"] / 2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 60))
def test_a_damaged_file_is_read_whole_or_refused(changes, cut):
    data = bytearray(midi(event(0, 0xFF, 0x51, 3, 7, 0xA1, 0x20) + melody(), melody(channel=9)))
    for at, value in changes:
        data[at % len(data)] = value
    found, reason = outcome(bytes(data[: len(data) - cut]))
    assert reason in {None, "not-music", "damaged", "truncated", "note-loss", "too-long", "too-big"}
    for reading in found:
        told = Told(reading)
        kept = told.facts["notes"] + sum(told.notes_dropped.values())
        assert told.facts["failure"] is not None or told.notes_in_file == kept


@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255))))
def test_the_compiled_scanner_finds_what_the_plain_one_does(tracks, changes):
    data = bytearray(midi(*(b"".join(event(*each) for each in track) + END for track in tracks)))
    for at, value in changes:
        data[14 + at % (len(data) - 14)] = value

    def found(count):
        try:
            return scan.scan_midi(bytes(data), count)
        except ReadError as error:
            return str(error)

    assert found(compiled_counter()) == found(scan.count_tracks)


def test_boxed_repaired_and_film_time_midi():
    plain = midi(melody())
    boxed = b"RIFF" + struct.pack("<I", len(plain) + 12) + b"RMIDdata" + struct.pack("<I", len(plain)) + plain
    mac = b"\0\4SONG".ljust(128, b"\0") + plain
    for data in (plain, boxed, mac):
        assert one(data).rows["pitch"].tolist() == list(TUNE)
    broken_program = midi(event(0, 0xC0, 200) + melody())
    assert one(broken_program).format == "midi-repaired"
    with pytest.raises(ReadError, match="16 frames"):
        readers.read_file(midi(melody(), division=(256 - 16) << 8 | 40), "x")
    film = one(midi(melody(ticks=500), division=(256 - 25) << 8 | 40))
    assert film.format == "midi-smpte"
    assert film.rows["onset_second"][1] == pytest.approx(0.5)


LONG = melody(TUNE * 3)
CLOCK = event(5, 0xF8) + event(5, 0xF4)  # two messages that no file may hold; their time passes


@pytest.mark.parametrize(
    ("data", "n_notes", "dropped", "wrong"),
    [
        (midi(LONG)[:-9], 53, 1, "only"),  # ends in the last note
        (midi(LONG)[:-4], 54, 0, "only"),
        (midi(CLOCK + LONG), 54, 0, "0xf4"),
        (midi(LONG[: -len(END)] + event(0, 0xF0, 1, 0xF7) + bytes([0, 60, 64, 9, 60, 0]) + END), 0, 0, ""),
        (midi(LONG, kind=9), 54, 0, "format 9"),
        (midi(event(0, 0x90, 200, 9) + LONG), 54, 1, "pitch=200"),
        (midi(LONG) + midi(melody()), 54, 0, "a second file"),
        (midi(LONG, LONG).replace(struct.pack(">I", len(LONG)), b"\0\0\xff\xff", 1), 108, 0, "wrong length"),
        (midi(LONG).replace(b"\0\0\0\x06", b"\0\0\0\x16", 1), 54, 0, "header of 22"),
        (midi(LONG[:-40] + bytes([0, 0xC0]) + LONG[-40:]), None, None, ""),
        (b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + midi(LONG)[:-4], 54, 0, "only"),
    ],
)
def test_damage_is_mended_and_said(data, n_notes, dropped, wrong):
    (reading,) = readers.read_file(data, "x.mid")
    told = Told(reading)
    assert told.facts["failure"] is None
    if wrong:
        assert reading.format == "midi-repaired"
        assert wrong in reading.repaired
        assert (told.facts["notes"], sum(told.notes_dropped.values())) == (n_notes, dropped)
    else:
        assert told.notes_in_file == told.facts["notes"] + sum(told.notes_dropped.values()) >= 50


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_mending_what_is_sound_changes_nothing(events):
    data = midi(b"".join(event(*each) for each in events) + END)
    whole = scan.scan_midi(data)
    again = rebuild(data, 480, whole.tracks)
    assert scan.scan_midi(again).notes_by_channel == whole.notes_by_channel
    assert np.array_equal(one(again).rows["onset_beat"], one(data).rows["onset_beat"])


def test_more_than_half_a_file_lost_is_refused():
    half_there = midi(LONG)[: 22 + len(LONG) // 3]
    with pytest.raises(ReadError, match="67% of its bytes are lost") as caught:
        readers.read_file(half_there, "x.mid")
    assert caught.value.reason == "truncated"
    whole = midi(LONG).replace(struct.pack(">I", len(LONG)), b"\x01\0\0\0", 1)
    assert one(whole).facts["notes"] == 54  # only the length is wrong: the track ends as it should


def test_sequences_of_a_format_2_file_are_tunes():
    found = readers.read_file(midi(melody(), melody(TUNE[:5]), kind=2), "songs.mid")
    assert [(reading.tune, len(reading.sounds.pitch)) for reading in found] == [("1", len(TUNE)), ("2", 5)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-music"),
        (b"<html><body>404</body></html>", "not-music"),
        (midi(melody())[:14], "damaged"),
        (b"PK\x03\x04 no zip", "damaged"),
        (b"<score-partwise><part", "damaged"),
        (b"<score-timewise></score-timewise>", "unsupported"),
    ],
)
def test_what_is_no_music_is_refused_with_a_reason(data, reason):
    with pytest.raises(ReadError) as caught:
        readers.read_file(data, "x.mid")
    assert caught.value.reason == reason


def test_tempo_changes_and_bars_of_several_tunes_at_once():
    beats, owner = np.array([0.0, 2.0, 4.0, 8.0, 3.0]), np.array([0, 0, 0, 0, 2])
    tempos = [[(0.0, 60.0), (4.0, 120.0), (4.0, 240.0), (8.0, 0.0)], [(0.0, 1.0)], []]
    assert clock.seconds(beats, owner, tempos).tolist() == [0.0, 2.0, 4.0, 5.0, 1.5]
    changing = bars_by_signature([(0.0, "4/4"), (5.0, "6/8")])
    onsets = np.array([0.0, 3.5, 4.0, 5.0, 7.0, 8.5, 6.5])
    bar, beat = clock.bars(onsets, np.array([0, 0, 0, 0, 0, 0, 1]), [changing, []])
    assert bar.tolist() == [0, 0, 1, 2, 2, 3, 1]  # the change in the middle of bar 1 starts bar 2
    assert beat.tolist() == [0.0, 3.5, 0.0, 0.0, 2.0, 0.5, 2.5]


def test_tunes_described_together_are_as_described_alone():
    files = [midi(melody()), midi(melody(TUNE[:7], ticks=100)), midi(END), musicxml(MEASURES), midi(LONG, melody())]
    readings = [readers.read_file(data, "x")[0] for data in files]
    together = describe(readings, ALL)
    for number, reading in enumerate(readings):
        alone = describe([reading], ALL)
        start, end = together.bounds[number : number + 2]
        assert {name: values[number] for name, values in together.facts.items()} == {
            name: values[0] for name, values in alone.facts.items()
        }
        for name, column in alone.notes.items():
            assert np.array_equal(together.notes[name][start:end], column), name


def test_what_lies_after_all_notes_changes_no_other_tune():
    late = event(0x0FFFFFFF, 0xFF, 0x58, 4, 3, 2, 24, 8) + event(0, 0xFF, 0x51, 3, 1, 0, 0)
    readings = [readers.read_file(midi(body), "x")[0] for body in (melody()[: -len(END)] + late + END, LONG)]
    readings[0].ticks_per_beat = 1  # the longest clock there is
    assert readings[0].bars == [(0.0, 0, 0.0, 4.0)]
    together = describe(readings, ALL)
    assert np.array_equal(together.notes["bar"][together.bounds[1] :], describe(readings[1:], ALL).notes["bar"])


def test_too_many_instruments_are_refused():
    changes = b"".join(event(0, 0xC0 | n % 9, n % 128) + event(0, 0x90 | n % 9, 60, 1) for n in range(40))
    ends = b"".join(event(0, 0x80 | n % 9, 60, 0) for n in range(40))
    with pytest.raises(ReadError, match="instruments") as caught:
        readers.read_file(midi(*[changes + event(9) + ends[1:] + END] * 300), "x")
    assert caught.value.reason == "too-big"


def test_silence_is_the_longest_stretch_with_nothing_sounding():
    held = event(0, 0x90, 40, 9) + melody()[: -len(END)] + event(0, 0x80, 40, 0)
    rest = event(960, 0x90, 60, 9) + event(480, 0x80, 60, 0)
    assert one(midi(held + rest + END)).silence_seconds == 1.0
    assert one(midi(held + END)).silence_seconds == 0.0


# --- scores


MEASURES = f'<measure number="1">{ATTRIBUTES}{xml_note("G", 4, 2)}{xml_note("C", 5, 4)}</measure>'


def test_musicxml_upbeat_ties_grace_notes_and_chord_symbols():
    harmony = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    measures = (
        f'<measure number="0" implicit="yes">{ATTRIBUTES}{xml_note("G", 4, 2)}</measure>'
        f'<measure number="1">{harmony}{xml_note("A", 4, 1, before="<grace/>")}{xml_note("C", 5, 4)}'
        f"{xml_note('E', 4, 2, extra=TIE)}</measure>"
        f'<measure number="2">{xml_note("E", 4, 6)}</measure>'
    )
    for data in (musicxml(measures), zipped({"META-INF/container.xml": b"<c/>", "s.xml": musicxml(measures)})):
        reading = one(data)
        rows = reading.rows
        assert reading.time_signature == "3/4"
        assert reading.notes_dropped == {"grace": 1, "tied": 1}  # the file leaves out the end of its tie, as many do
        assert rows["duration_beat"].tolist() == [1.0, 2.0, 4.0]
        assert rows["pitch"].tolist() == [67, 72, 64]
        assert rows["onset_beat"].tolist() == [2.0, 3.0, 5.0]
        assert rows["beat_in_bar"].tolist() == [2.0, 0.0, 2.0]
        assert rows["bar"].tolist() == [0, 1, 1]
        assert set(rows["velocity"]) == {64}


def test_pitches_sound_as_they_are_heard():
    transpose = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>"
    written = musicxml(f'<measure number="1">{ATTRIBUTES[:-13]}{transpose}{xml_note("D", 5, 6)}</measure>')
    assert one(written).rows["pitch"].tolist() == [72]


KERN = """**kern\t**kern
*M4/4\t*M4/4
*MM90\t*MM90
=1\t=1
1C\t2c
.\t[2e
=2\t=2
1G 1B\t4e]
.\t4r
.\t2qd
.\t2g
==\t==
*-\t*-
"""


def test_kern_ties_chords_and_tempo():
    reading = one(KERN.encode())
    assert (reading.format, reading.tracks, reading.tempo_bpm) == ("kern", 2, 90.0)
    assert reading.notes_dropped == {"grace": 1, "tied": 1}
    notes = sorted(
        zip(*(reading.rows[name].tolist() for name in ("onset_beat", "pitch", "duration_beat")), strict=True)
    )
    assert notes == [(0.0, 48, 4.0), (0.0, 60, 2.0), (2.0, 64, 3.0), (4.0, 55, 4.0), (4.0, 59, 4.0), (6.0, 67, 2.0)]


MEI = """<?xml version="1.0"?><mei xmlns="http://www.music-encoding.org/ns/mei"><music><body><mdiv><score><scoreDef
meter.count="2" meter.unit="4"><staffGrp><staffDef n="1" lines="5" clef.shape="G" clef.line="2"/></staffGrp></scoreDef>
<section><measure n="1"><staff n="1"><layer n="1"><note pname="c" oct="4" dur="4"/><note pname="e" oct="4" dur="4"/>
</layer></staff></measure></section></score></mdiv></body></music></mei>"""


def test_mei():
    reading = one(MEI.encode())
    assert (reading.format, reading.rows["pitch"].tolist()) == ("mei", [60, 64])


def test_one_broken_tune_of_an_abc_file_costs_itself_only():
    text = "M:6/8\nL:1/8\n\nX:1\nK:G\nGAB c2d|\n\nX:2\nL:x\nK:D\nDEF|\n\nX:2\nK:D\n{d}DEF G2z|(3ABc d4-|d3|\n"
    first, broken, second = readers.read_file(text.encode(), "tunes.abc")
    assert [each.tune for each in (first, broken, second)] == ["1", "2", "2.2"]
    assert first.failure is None
    first, second = Told(first), Told(second)
    assert (first.time_signature, first.rows["pitch"].tolist()) == ("6/8", [67, 69, 71, 72, 74])
    assert broken.failure.startswith("damaged: abc")
    assert second.notes_dropped == {"grace": 1, "tied": 1}
    assert second.rows["pitch"].tolist() == [62, 64, 66, 67, 69, 71, 73, 74]
    assert second.rows["duration_beat"][4:].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 3.5])


def test_abc_voices_that_take_turns_and_texts_over_notes():
    text = 'X:1\nM:2/4\nL:1/4\nQ:1/4=60\nK:C\nV:T\n">"c d|\nV:B\nC, x|\nV:T\ne f|\nV:B\nG, A,|\n'
    reading = one(text.encode())
    rows = reading.rows
    assert rows["pitch"][rows["track"] == 0].tolist() == [72, 74, 76, 77]  # music21's own score loses the first
    assert rows["onset_beat"][rows["track"] == 1].tolist() == [0.0, 2.0, 3.0]
    assert reading.duration_seconds == 4.0


def test_a_repeat_in_the_middle_of_a_bar_keeps_the_place_in_the_bar():
    reading = one(b"X:1\nM:4/4\nL:1/4\nK:C\nG|cdef|gab::c|defg|a3|]\n")
    assert reading.rows["beat_in_bar"].tolist() == [3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert reading.rows["bar"].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4]


@given(st.lists(st.sampled_from([0.5, 1.0, 3.0, 3.5, 4.0, 4.0, 4.0, 9.0]), min_size=1, max_size=12))
def test_laid_bars_never_go_back(lengths):
    starts = np.cumsum([0.0, *lengths])
    bars = lay_bars(starts[:-1].tolist(), float(starts[-1]), [(0.0, "4/4")])
    onsets = np.arange(0, starts[-1], 0.5)
    number, beat = clock.bars(onsets + bars.upbeat_beats, np.zeros(len(onsets), int), [bars.stretches()])
    assert (np.diff(number) >= 0).all()
    assert ((beat >= 0) & (beat < 4)).all()
    assert 0 <= bars.upbeat_beats < 4


def test_measures_without_a_time_signature_are_the_bars():
    bars = lay_bars([0.0, 1.0, 4.0, 7.0], 10.0, [])
    assert (bars.upbeat_beats, set(bars.lengths)) == (2.0, {3.0})


def test_reading_scores_leaves_nothing_on_disk(tmp_path):
    """music21 keeps a cache by path and time in a temporary folder; none of it is used, so none can be stale."""
    folders = [tmp_path / name for name in ("temporary", "home", "here")]
    for folder in folders:
        folder.mkdir()
    abc = "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n"
    code = (
        "from farm.corpus.readers import read_file\n"
        f"for data in {[KERN.encode(), MEI.encode(), musicxml(MEASURES), abc.encode(), midi(melody())]!r}:\n"
        "    assert read_file(data, 'x')[0].failure is None\n"
    )
    temporary, home, here = map(str, folders)
    environment = {"TMPDIR": temporary, "HOME": home, "PYTHONPATH": str(Path(farm.__file__).parent.parent)}
    subprocess.run([sys.executable, "-c", code], cwd=here, env={**os.environ, **environment}, check=True)
    assert [path.name for folder in folders for path in folder.rglob("*")] == []
