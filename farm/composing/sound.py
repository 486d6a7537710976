"""A piano-like sound from sine waves, so that a piece can be heard where no synthesiser is installed.

Conventions
-----------
44,100 samples a second, 16 bits, one channel. Each tone is a sum of slightly stretched partials that die away,
high tones and high partials sooner; when a key is let go the tone is damped.
"""

import io
import wave

import numpy as np

from farm.errors import FarmError

RATE = 44_100
MAX_SECONDS = 1_200
LONGEST_TONE_SECONDS = 6.0
DAMPING_SECONDS = 0.08
TAIL_SECONDS = 0.5
ATTACK_SECONDS = 0.004
MAX_PARTIALS = 9
PEAK = 0.89


def wav(notes: np.ndarray, tempo_bpm: float) -> bytes:
    """Return a WAV file of a note array; no notes give a second of silence.

    Raises
    ------
    FarmError
        When the piece lasts longer than 20 minutes, which would be 100 MB.
    """
    seconds = 60 / tempo_bpm
    total = check_length(notes, tempo_bpm)
    mix = np.zeros(int(total * RATE) + 1, np.float32)
    tones: dict[int, np.ndarray] = {}
    for note in notes:
        pitch = int(note["pitch"])
        if pitch not in tones:
            tones[pitch] = _tone(pitch)
        start = int(float(note["onset_beat"]) * seconds * RATE)
        held = int(float(note["duration_beat"]) * seconds * RATE)
        tone = tones[pitch][: held + int(TAIL_SECONDS * RATE)]
        tone = tone[: len(mix) - start]
        gain = (float(note["velocity"]) / 127) ** 1.5
        mix[start : start + len(tone)] += gain * tone * _damper(len(tone), held)
    peak = float(np.abs(mix).max())
    samples = np.rint(mix * (PEAK * 32767 / peak if peak > 0 else 0)).astype("<i2")
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return sink.getvalue()


def check_length(notes: np.ndarray, tempo_bpm: float) -> float:
    """Return how long a piece sounds, seconds; FarmError when that is more than `MAX_SECONDS`."""
    ends = (notes["onset_beat"] + notes["duration_beat"]) * 60 / tempo_bpm
    total = float(ends.max()) + TAIL_SECONDS if len(notes) else 1.0
    if total > MAX_SECONDS:
        raise FarmError(f"sound: the piece lasts {total / 60:.0f} minutes; ask for fewer notes or write a .mid file")
    return total


def _tone(pitch: int) -> np.ndarray:
    """Return one struck tone that is never let go, float32."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    lasting = 2.4 * 2 ** (
        (60 - pitch) / 24
    )  # seconds until 1/e: a low string sounds four times as long as one four octaves up
    time = np.arange(int(LONGEST_TONE_SECONDS * RATE), dtype=np.float32) / np.float32(RATE)
    tone = np.zeros_like(time)
    for partial in range(1, MAX_PARTIALS + 1):
        heard = frequency * partial * np.sqrt(1 + 4e-4 * partial**2)
        if heard > RATE / 2.5:
            break
        loudness = partial**-1.3
        fading = lasting / partial**0.7
        tone += np.float32(loudness) * np.exp(-time / np.float32(fading)) * np.sin(np.float32(2 * np.pi * heard) * time)
    return tone * np.minimum(time / np.float32(ATTACK_SECONDS), 1)


def _damper(length: int, held: int) -> np.ndarray:
    """Return the factor of each sample: 1 while the key is held, dying away after."""
    after = np.maximum(np.arange(length, dtype=np.float32) - held, 0)
    return np.exp(-after / np.float32(DAMPING_SECONDS * RATE))
