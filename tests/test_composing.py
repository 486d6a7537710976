"""Composing and rendering: rules of order, seeds, the guard, and files that read back as they were written."""

import io
import wave
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_music import tune

from farm.composing.beams import beams
from farm.composing.guard import MAX_CHORD_NOTES, MAX_SILENT_BARS
from farm.composing.notation import Sheet, nearest_signature, spelled, split_length
from farm.composing.render import playable, render, transposed
from farm.composing.sampling import compose
from farm.errors import FarmError
from farm.music.encoding import (
    BEATS,
    DURATION,
    FREE,
    GRIDS,
    LONGEST_BAR_STEPS,
    MAX_BEATS,
    METRE,
    NOTE,
    PITCH,
    POSITION,
    STEP,
    STEPS_PER_BEAT,
    VELOCITY,
    Encoding,
    decode,
    encode,
)

ENCODING = Encoding()
LOUD = Encoding(has_velocity=True)


class Noise:
    """A network without sense: answers are hashes of what it was fed, sharpened by `force`; `dense` is without rest."""

    def __init__(self, encoding=ENCODING, force=3.0, stop=0.0, sure=None, dense=False):
        self.encoding, self.force, self.stop, self.sure, self.dense = encoding, force, stop, sure or {}, dense

    def start(self, n):
        return np.zeros(n, np.uint64)

    def feed(self, state, rows):
        for column in range(rows.shape[1]):
            state = (state ^ rows[:, column].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            state = state ^ (state >> np.uint64(31))
        return state

    def logits(self, hidden, field, rows):
        size = self.encoding.n_classes[field]
        mixed = hidden[:, None] ^ (
            np.arange(size, dtype=np.uint64) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(len(field))
        )
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0x94D049BB133111EB)
        logits = (mixed >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24) * np.float32(self.force)
        if field == "beats":
            logits[:, self.encoding.stop] = self.stop
            logits[:, 2 : self.encoding.stop] -= np.inf if self.dense else 0
        if field in self.sure:
            logits[:, self.sure[field]] += 50
        return logits


def check_order(piece, encoding, metre):
    """The rules of `farm.music.encoding`, checked apart from the code that keeps them."""
    events = piece.events.astype(int)
    assert events.dtype.kind == "i"
    assert (events[0, :POSITION] == encoding.start_row[:POSITION]).all()
    assert (events[:, METRE] == metre).all()
    assert events[-1, BEATS] == encoding.stop
    assert (events[-1, STEP:METRE] == 0).all()
    body = events[1:-1]
    assert (body[:, BEATS] <= MAX_BEATS).all()
    assert ((body[:, STEP] >= 0) & (body[:, STEP] < STEPS_PER_BEAT)).all()
    assert (body[:, STEP] * encoding.grid % STEPS_PER_BEAT == 0).all(), "on the style's grid"
    assert ((body[:, PITCH] >= 0) & (body[:, PITCH] < encoding.n_pitches)).all()
    assert ((body[:, DURATION] >= 0) & (body[:, DURATION] < len(encoding.duration_steps))).all()
    onset = np.cumsum(body[:, BEATS] * STEPS_PER_BEAT + body[:, STEP])
    bar = encoding.bar_steps(metre)
    assert onset[0] < bar
    position = np.minimum(onset % bar, LONGEST_BAR_STEPS - 1) if encoding.metres[metre] != FREE else 0
    assert (body[:, POSITION] == position).all()
    keys = [tuple(row) for row in np.column_stack([onset, body[:, PITCH], body[:, DURATION]])]
    assert keys == sorted(keys)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    metre=st.integers(0, len(ENCODING.metres) - 1),
    notes=st.integers(1, 40),
    temperature=st.floats(0.05, 10),
    top_p=st.floats(0.01, 1),
    greedy=st.booleans(),
    loud=st.booleans(),
    grid=st.sampled_from(GRIDS),
)
def test_every_piece_keeps_the_rules_of_order(seed, metre, notes, temperature, top_p, greedy, loud, grid):
    encoding = replace(LOUD if loud else ENCODING, grid=grid)
    pieces = compose(
        Noise(encoding, stop=2.0),
        encoding,
        notes=notes,
        seed=seed,
        metre=metre,
        temperature=temperature,
        top_p=top_p,
        greedy=greedy,
        count=3,
    )
    assert len(pieces) == 3
    for piece in pieces:
        check_order(piece, encoding, metre)
        assert max(notes / 4, 1) <= len(piece.events) - 2 <= notes
        assert piece.stopped or len(piece.events) - 2 == notes
        if not loud:
            assert (piece.events[1:-1, VELOCITY] == 0).all()


@pytest.mark.parametrize("metre", ["4/4", "3/8", "12/8", FREE])
def test_bars_end_with_the_last_bar(metre):
    number = ENCODING.metre_class(metre)
    beats = ENCODING.bar_steps(number) / ENCODING.steps_per_beat
    for piece in compose(Noise(stop=-50, dense=True), ENCODING, bars=5, metre=number, seed=3, count=4):
        check_order(piece, ENCODING, number)
        assert not piece.stopped
        notes = decode(piece.events, ENCODING)
        assert 3 * beats <= notes["onset_beat"].max() < 5 * beats
        assert (notes["onset_beat"] + notes["duration_beat"]).max() <= 5 * beats


def test_a_bar_that_is_never_left_ends_as_well():
    [piece] = compose(Noise(sure={"beats": 0, "step": 0}), ENCODING, bars=1, greedy=True)
    assert len(piece.events) - 2 == 128


def test_stop_ends_a_piece_but_not_before_a_quarter_of_it():
    [piece] = compose(Noise(stop=100), ENCODING, notes=80, seed=1)
    assert piece.stopped
    assert len(piece.events) - 2 == 20
    [piece] = compose(Noise(stop=100, dense=True), ENCODING, bars=8, seed=1)
    assert piece.stopped
    onset = decode(piece.events, ENCODING)["onset_beat"]
    assert onset[-1] // 4 == 1, "two of eight bars"


def test_the_seed_decides_and_the_count_does_not():
    def events(seed, count=1):
        return [piece.events.tobytes() for piece in compose(Noise(), ENCODING, notes=50, seed=seed, count=count)]

    assert events(7) == events(7)
    assert events(7) != events(8)
    assert events(7, count=5)[2:4] == [*events(9), *events(10)]


def test_pieces_that_end_early_do_not_change_the_others():
    network = Noise(stop=2.7)
    together = compose(network, ENCODING, notes=200, seed=0, count=6)
    assert len({len(piece.events) for piece in together}) > 1
    for number, piece in enumerate(together):
        [alone] = compose(network, ENCODING, notes=200, seed=number)
        assert alone.events.tobytes() == piece.events.tobytes()
        assert alone.interventions == piece.interventions


def test_a_low_temperature_is_the_greedy_choice_and_top_p_keeps_the_likely():
    [greedy] = compose(Noise(dense=True), ENCODING, notes=40, greedy=True)
    [cold] = compose(Noise(force=3000, dense=True), ENCODING, notes=40, temperature=0.05)
    [hot] = compose(Noise(force=3000, dense=True), ENCODING, notes=40, temperature=10, top_p=1e-6)
    assert cold.events.tobytes() == greedy.events.tobytes() == hot.events.tobytes()
    assert len(compose(Noise(), ENCODING, notes=40, greedy=True, count=2)) == 2


def test_draws_follow_the_chances():
    class Coin(Noise):
        def logits(self, hidden, field, rows):
            logits = np.full((len(hidden), self.encoding.n_classes[field]), -np.inf)
            if field == "pitch":
                logits[:, [40, 61]] = np.log([0.75, 0.25])
            else:
                logits[:, {"beats": 1, "step": 0}.get(field, 3)] = 0
            return logits

    pieces = compose(Coin(), ENCODING, notes=20, count=100, top_p=1.0)
    pitches = np.concatenate([piece.events[1:-1, PITCH] for piece in pieces])
    assert 0.72 < (pitches == 40).mean() < 0.78
    assert set(pitches) == {40, 61}
    pieces = compose(Coin(), ENCODING, notes=20, count=10, top_p=0.7)
    assert {*np.concatenate([piece.events[1:-1, PITCH] for piece in pieces])} == {40}


def test_the_guard_breaks_a_loop_and_says_so():
    stuck = Noise(sure={"beats": 1, "step": 0, "pitch": 60, "duration": 11})
    [looping] = compose(stuck, ENCODING, notes=100, greedy=True)
    assert (looping.events[1:-1, PITCH] == 60).all()
    assert sum(looping.interventions.values()) == 0
    [guarded] = compose(stuck, ENCODING, notes=100)
    assert guarded.interventions["loop"] >= 3
    assert (guarded.events[1:-1, PITCH] != 60).any()


def test_the_guard_bans_silence_and_endless_chords():
    far = Noise(sure={"beats": 12})
    [silent] = compose(far, ENCODING, notes=20, greedy=True)
    assert (silent.events[2:-1, BEATS] == 12).all(), "the first note lies in the first bar all the same"
    [guarded] = compose(far, ENCODING, notes=20)
    assert guarded.events[1:-1, BEATS].max() <= MAX_SILENT_BARS * 4
    assert guarded.interventions["silence"] > 10
    [guarded] = compose(Noise(sure={"beats": 0, "step": 0}), ENCODING, notes=60)
    onsets = np.cumsum(guarded.events[1:-1, [BEATS, STEP]].any(axis=1))
    assert np.bincount(onsets).max() == MAX_CHORD_NOTES
    assert guarded.interventions["cluster"] >= 2


def test_the_guard_leaves_music_alone_that_needs_none():
    pieces = compose(Noise(stop=-np.inf, dense=True), ENCODING, notes=300, count=3)
    assert all(sum(piece.interventions.values()) == 0 for piece in pieces)


def test_a_primer_is_gone_on_from():
    primer = encode(tune(3, bars=4), ENCODING, "4/4")
    n_primer = len(primer) - 2
    [piece] = compose(Noise(stop=-9), ENCODING, notes=30, primer=primer, seed=5)
    assert piece.primer_notes == n_primer
    assert (piece.events[: n_primer + 1] == primer[:-1]).all()
    assert len(piece.events) - 2 == n_primer + 30
    check_order(piece, ENCODING, ENCODING.metre_class("4/4"))
    [other] = compose(Noise(stop=-9), ENCODING, notes=30, seed=5)
    assert other.events[1:-1, PITCH].tolist() != piece.events[n_primer + 1 : -1, PITCH].tolist()
    [bars] = compose(Noise(stop=-9), ENCODING, bars=2, primer=primer[1:-1], seed=5)
    onset = decode(bars.events, ENCODING)["onset_beat"]
    assert 16 <= onset[n_primer:].max() < 24


@pytest.mark.parametrize(
    ("settings_", "named"),
    [
        ({}, "notes or in bars"),
        ({"notes": 5, "bars": 5}, "notes or in bars"),
        ({"notes": 0}, "notes is 0"),
        ({"bars": -1}, "bars is -1"),
        ({"notes": 5, "temperature": 0.0}, "temperature"),
        ({"notes": 5, "temperature": float("nan")}, "temperature"),
        ({"notes": 5, "top_p": 1.5}, "top-p"),
        ({"notes": 5, "seed": -1}, "seed"),
        ({"notes": 5, "count": 0}, "pieces"),
        ({"notes": 5, "metre": 99}, "metre class 99"),
    ],
)
def test_settings_out_of_range_are_named(settings_, named):
    with pytest.raises(FarmError, match=named):
        compose(Noise(), ENCODING, **settings_)


def test_a_broken_network_is_an_error():
    class Broken(Noise):
        def logits(self, hidden, field, rows):
            return super().logits(hidden, field, rows) * np.float32("nan")

    with pytest.raises(FarmError, match="not finite"):
        compose(Broken(), ENCODING, notes=5)


# Rendering


def read_midi(data):
    from symusic import Score

    return Score.from_midi(data)


NOTES = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 100), st.integers(0, 127), st.integers(1, 127)), max_size=60
)


@settings(max_examples=60, deadline=None)
@given(NOTES)
def test_midi_reads_back_as_it_was_written(rows):
    notes = np.zeros(len(rows), NOTE)
    for index, (onset, length, pitch, velocity) in enumerate(rows):
        notes[index] = (onset / 12, length / 12, pitch, velocity, 0)
    wanted = playable(notes)
    score = read_midi(render(notes, "a.mid", Sheet(tempo_bpm=100)))
    found = (
        sorted((note.time, note.pitch, note.duration, note.velocity) for note in score.tracks[0].notes) if rows else []
    )
    assert found == [
        (round(note["onset_beat"] * 480), int(note["pitch"]), round(note["duration_beat"] * 480), int(note["velocity"]))
        for note in wanted
    ]
    assert len({(onset, pitch) for onset, _, pitch, _ in rows}) == len(wanted), "only equal notes struck together go"


def test_midi_says_tempo_metre_key_title_and_program():
    sheet = Sheet("Bäch", tempo_bpm=96, time_signature="6/8", key="c minor", program=19)
    score = read_midi(render(tune(1), "a.MID", sheet))
    assert score.tempos[0].qpm == pytest.approx(96)
    assert (score.time_signatures[0].numerator, score.time_signatures[0].denominator) == (6, 8)
    assert (score.key_signatures[0].key, score.key_signatures[0].tonality) == (-3, 1)
    assert (score.tracks[0].name, score.tracks[0].program) == ("Bäch", 19)
    assert not read_midi(render(tune(1), "a.mid", Sheet())).key_signatures


def test_no_pitch_sounds_twice_at_once():
    notes = np.array([(0, 4, 60, 80, 0), (1, 1, 60, 70, 1), (0, 2, 60, 60, 0), (0, 4, 64, 80, 0)], NOTE)
    assert playable(notes)[["onset_beat", "duration_beat", "pitch", "velocity"]].tolist() == [
        (0, 1, 60, 80),
        (0, 4, 64, 80),
        (1, 1, 60, 70),
    ]
    assert len(playable(notes[:0])) == 0


def test_transposing_moves_every_note_or_says_how_far_it_may():
    notes = tune(2)
    assert (transposed(notes, -7)["pitch"] == notes["pitch"] - 7).all()
    with pytest.raises(FarmError, match=f"give -{notes['pitch'].min()} to {127 - notes['pitch'].max()}"):
        render(notes, "a.mid", Sheet(), transpose=100)
    assert len(read_midi(render(notes[:0], "a.mid", Sheet(), transpose=100)).tracks) <= 1


@pytest.mark.parametrize(
    ("name", "sheet", "told"),
    [
        ("a.mp3", Sheet(), "'.mp3'"),
        ("a", Sheet(), "''"),
        ("a.mid", Sheet(tempo_bpm=0), "tempo"),
        ("a.mid", Sheet(tempo_bpm=float("nan")), "tempo"),
        ("a.mid", Sheet(program=128), "program"),
    ],
)
def test_what_cannot_be_written_is_told(name, sheet, told):
    with pytest.raises(FarmError, match=told):
        render(tune(1), name, sheet)


@pytest.mark.parametrize("name", ["a.mid", "a.musicxml", "a.wav"])
def test_equal_arguments_give_equal_bytes(name):
    first, again = (render(tune(4, bars=2), name, Sheet(tempo_bpm=400)) for _ in range(2))
    assert first == again
    assert first != render(tune(5, bars=2), name, Sheet(tempo_bpm=400))


def test_wav_is_as_long_as_the_music_and_sounds_the_pitch():
    notes = np.array([(0, 2, 69, 100, 0)], NOTE)
    with wave.open(io.BytesIO(render(notes, "a.wav", Sheet(tempo_bpm=60)))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44_100)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    assert len(samples) == pytest.approx(2.5 * 44_100, abs=2)
    spectrum = np.abs(np.fft.rfft(samples[:44_100]))
    assert spectrum.argmax() == pytest.approx(440, abs=2)
    assert 25_000 < np.abs(samples).max() < 32_767
    assert np.abs(samples[-400:]).max() < 200, "damped at the end"
    assert np.abs(samples[44_100:66_150]).max() < np.abs(samples[:22_050]).max() / 2, "dies away"
    silence = render(notes[:0], "a.wav", Sheet())
    assert len(silence) == 44 + 2 * 44_101


def test_a_sound_of_hours_is_refused():
    notes = np.array([(100_000, 1, 60, 80, 0)], NOTE)
    with pytest.raises(FarmError, match="minutes"):
        render(notes, "a.wav", Sheet())


def read_score(data, tmp_path):
    from music21 import converter

    path = tmp_path / "score.musicxml"
    path.write_bytes(data)
    score = converter.parse(path, forceSource=True)
    found = []
    for note in sorted(score.flatten().notes, key=lambda note: note.offset):
        for pitch in note.pitches:
            onset, end = float(note.offset), float(note.offset + note.quarterLength)
            if note.tie is not None and note.tie.type in ("stop", "continue"):
                before = next(row for row in found if row[1] == pitch.midi and abs(row[2] - onset) < 1e-6)
                before[2] = end
            else:
                found.append([onset, pitch.midi, end])
    return score, sorted((onset, pitch, end - onset) for onset, pitch, end in found)


def test_musicxml_reads_back_with_ties_chords_triplets_and_two_staves(tmp_path):
    notes = np.concatenate(
        [
            tune(6, bars=3),
            np.array([(2.5, 7, 48, 80, 2.5), (3, 1 / 3, 72, 80, 3), (3 + 1 / 3, 2 / 3, 74, 80, 3 + 1 / 3)], NOTE),
            np.array([(4, 1.5, 65, 80, 0), (4, 1.5, 69, 80, 0), (5.5, 0.75, 70, 80, 1.5)], NOTE),
        ]
    )
    notes = playable(notes)
    score, found = read_score(render(notes, "a.xml", Sheet("A & <B>\x00", key="F major", tempo_bpm=70)), tmp_path)
    wanted = [(float(n["onset_beat"]), int(n["pitch"]), float(n["duration_beat"])) for n in notes]
    assert [row[1] for row in found] == [row[1] for row in sorted(wanted)]
    np.testing.assert_allclose(found, sorted(wanted), atol=1e-2)
    assert len(score.parts) == 2
    assert score.metadata.movementName == "A & <B>"
    assert {key.sharps for key in score.recurse().getElementsByClass("KeySignature")} == {-1}
    for measure in score.recurse().getElementsByClass("Measure"):
        assert float(measure.duration.quarterLength) == 4


@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1, 2, 3, 4, 6, 8, 9, 12, 18]))), st.sampled_from([12, 18])
)
def test_beams_begin_and_end_within_their_group(gaps, group):
    notes, at = [], 0
    for gap, length in gaps:
        notes.append((at + gap, length))
        at += gap + length
    running = {}
    for (start, length), states in zip(notes, beams(notes, group), strict=True):
        assert len(states) in (0, {1: 3, 2: 2, 3: 2, 4: 1, 6: 1, 9: 1}.get(length, 0))
        for level, state in enumerate(states):
            assert (state in ("continue", "end")) == (level in running)
            assert level not in running or running[level] == start // group
            if state in ("begin", "continue"):
                running[level] = start // group
            running.pop(level, None) if state == "end" else None
    assert not running


@settings(max_examples=40, deadline=None)
@given(NOTES, st.sampled_from(["4/4", "3/8", "6/8", "other"]))
def test_every_bar_of_a_score_is_full(rows, metre):
    notes = np.zeros(len(rows), NOTE)
    for index, (onset, length, pitch, velocity) in enumerate(rows):
        notes[index] = (onset / 12, length / 12, pitch, velocity, 0)
    root = ET.fromstring(render(notes, "a.xml", Sheet(time_signature=metre)))
    bar = {"4/4": 48, "other": 48, "3/8": 18, "6/8": 36}[metre]
    sounding = 0
    for measure in root.iter("measure"):
        at = {}
        voice = None
        reached = 0
        for child in measure:
            length = int(child.findtext("duration", "0"))
            if child.tag == "backup":
                assert reached == length == bar
                reached = 0
            elif child.tag in ("note", "forward") and child.find("chord") is None:
                voice = child.findtext("voice", voice)
                reached += length
                at[voice] = reached
            is_onset = child.find("pitch") is not None and "stop" not in {tie.get("type") for tie in child.iter("tie")}
            sounding += child.tag == "note" and is_onset
        assert reached == bar
    pitches = {row[2] for row in rows}
    assert bool(sounding) == bool(pitches)


@given(st.integers(0, 47), st.integers(1, 300))
def test_note_values_add_up_and_stay_in_their_beat(start, length):
    values = split_length(start, length)
    assert sum(values) == length
    for value in values:
        inside = start % 12 + value <= 12
        assert inside or (start % 6 == 0 and value % 6 == 0)
        start += value


@pytest.mark.parametrize("fifths", range(-6, 7))
def test_pitches_are_spelled_as_their_key_has_them(fifths):
    sounding = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    for pitch in range(128):
        letter, alter, octave = spelled(pitch, fifths)
        assert 12 * (octave + 1) + sounding[letter] + alter == pitch
    tonic = 60 + 7 * fifths % 12
    scale = [spelled(tonic + step, fifths) for step in (0, 2, 4, 5, 7, 9, 11)]
    assert len({letter for letter, _, _ in scale}) == 7
    assert sum(alter for _, alter, _ in scale) == fifths
    notes = np.zeros(7, NOTE)
    notes["pitch"] = [tonic + step for step in (0, 2, 4, 5, 7, 9, 11)]
    assert nearest_signature(notes) in (fifths, fifths - 12, fifths + 12)
