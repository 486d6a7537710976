"""Small music made on the spot: tonal tunes with a bass, different for every seed, as MIDI files or note arrays."""

from pathlib import Path

import numpy as np

from farm.music.encoding import N_COLUMNS, NOTE
from farm.music.features import ENDING, HELD, N_TOLD, Features

SCALE = (0, 2, 4, 5, 7, 9, 11)


def tune(seed: int, bars: int = 12, tonic: int = 60, velocity: bool = False) -> np.ndarray:
    """Return a note array in 4/4: a melody that walks up and down a major scale over a bass note per half bar."""
    random = np.random.default_rng(seed)
    rows = []
    degree = int(random.integers(0, 7))
    for bar in range(bars):
        for half in range(2):
            onset = bar * 4.0 + half * 2.0
            bass = tonic - 24 + SCALE[(degree + 2 * half) % 7]
            rows.append((onset, 2.0, bass, 64, half * 2.0))
            rhythm = [(0.0, 1.0), (1.0, 1.0)] if random.random() < 0.5 else [(0.0, 0.5), (0.5, 0.5), (1.0, 1.0)]
            for start, length in rhythm:
                degree = int(np.clip(degree + random.choice([-2, -1, 1, 2]), -3, 10))
                pitch = tonic + 12 * (degree // 7) + SCALE[degree % 7]
                loud = int(random.integers(30, 110)) if velocity else 64
                rows.append((onset + start, length, pitch, loud, half * 2.0 + start))
    notes = np.array(rows, NOTE)
    return np.sort(notes, order=["onset_beat", "pitch"])


def write_midi(path: Path, notes: np.ndarray, tempo_bpm: float = 100) -> None:
    """Write a note array as a MIDI file of one track."""
    import symusic

    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, tempo_bpm))
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    track = symusic.Track("piano", 0, False)
    for note in notes:
        track.notes.append(
            symusic.Note(
                round(note["onset_beat"] * 480),
                round(note["duration_beat"] * 480),
                int(note["pitch"]),
                int(note["velocity"]),
            )
        )
    score.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    score.dump_midi(path)


def write_corpus(folder: Path, styles: dict[str, int], bars: int = 12) -> None:
    """Write a folder of MIDI files per style, so many tunes each, no two alike."""
    for number, (style, count) in enumerate(styles.items()):
        for index in range(count):
            notes = tune(1000 * number + index, bars, tonic=60 + (index * 5) % 12)
            write_midi(folder / style / f"tune-{index:02d}.mid", notes)


def shown(features: Features, left: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of one event of each piece, told step by step, and what is left to sound."""
    held, ending, left = features.follow(left, rows)
    told = np.zeros((len(rows), N_TOLD), np.int16)
    told[:, :N_COLUMNS], told[:, ENDING] = rows, ending
    told[:, HELD] = np.packbits(held, axis=1).view(np.int16)
    return features.columns(told, np.zeros(len(rows), int)), left
