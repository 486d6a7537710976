"""Sound by the instruments of a SoundFont, through the program FluidSynth where it is installed.

Conventions
-----------
44,100 samples a second, 16 bits, two channels. FluidSynth is a process of its own: a broken SoundFont harms nobody.
Equal files and one version of the program give equal bytes.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from farm.composing.sound import RATE
from farm.errors import FarmError

PROGRAM = "fluidsynth"
_LONGEST_RENDERING_SECONDS = 300


def soundfont_wav(midi: bytes, soundfont: Path) -> bytes:
    """Return the WAV file of a MIDI file as a SoundFont (.sf2, .sf3) sounds it.

    Raises
    ------
    FarmError
        When FluidSynth is not installed, or the file is missing or no SoundFont that it can load.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise FarmError(
            f"{soundfont}: a SoundFont is played by FluidSynth, which is not installed; install it ('apt install "
            "fluidsynth', 'brew install fluid-synth'), or leave the SoundFont out for the built-in tone"
        )
    try:
        with soundfont.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise FarmError(f"{soundfont}: {error.strerror}; name a .sf2 or .sf3 file") from error
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise FarmError(f"{soundfont}: is no SoundFont; name a .sf2 or .sf3 file")
    with tempfile.TemporaryDirectory(prefix="farm-sound-") as place:
        piece, sound, settings = Path(place, "piece.mid"), Path(place, "piece.wav"), Path(place, "settings")
        piece.write_bytes(midi)
        settings.touch()  # instead of the user's own, which may say anything
        options = ["-n", "-i", "-q", "-f", str(settings), "-r", str(RATE), "-O", "s16", "-T", "wav", "-F", str(sound)]
        try:
            done = subprocess.run(
                [program, *options, str(soundfont.resolve()), str(piece)],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_LONGEST_RENDERING_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FarmError(f"{soundfont}: {PROGRAM} could not play it, {error}; try another SoundFont") from error
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        # it exits with 0 and plays silence when it could load no SoundFont
        if done.returncode != 0 or not sound.is_file() or "Failed to load" in said:
            first = next((line for line in said.splitlines() if "error" in line), f"exit code {done.returncode}")
            raise FarmError(f"{soundfont}: {PROGRAM} could not play it, {first}; try another SoundFont")
        return sound.read_bytes()
