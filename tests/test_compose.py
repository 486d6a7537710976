"""What `farm compose` writes and refuses: SoundFonts, several pieces at once, primers, wishes that cannot be met."""

import io
import os
import re
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from farm.catalog.composer import Wish, compose_file, compose_files, numbered
from farm.catalog.model_file import open_model, pack_model
from farm.composing import soundfont as soundfonts
from farm.errors import FarmError
from farm.music.encoding import Encoding
from farm.piece import compose_pieces
from farm.storage import Storage
from tests.small_catalog import ARCHITECTURE, network

SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")  # Debian's timgm6mb-soundfont


def model():
    return open_model(pack_model(network(), ARCHITECTURE, Encoding(), {"style": "bach"}, "float32"))


def samples(data):
    with wave.open(io.BytesIO(data)) as sound:
        shape = (sound.getnframes(), sound.getnchannels())
        assert (sound.getframerate(), sound.getsampwidth()) == (44_100, 2)
        return np.frombuffer(sound.readframes(shape[0]), "<i2").reshape(shape)


@pytest.fixture(scope="module")
def font():
    if shutil.which(soundfonts.PROGRAM) is None or not SOUNDFONT.is_file():
        missing = "FluidSynth or a SoundFont is missing; apt-get install fluidsynth timgm6mb-soundfont"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return SOUNDFONT


def test_a_soundfont_sounds_as_long_as_the_built_in_tone(font):
    wish = Wish(notes=40, seed=3)
    tone, facts = compose_file(model(), "a.wav", wish)
    data, same = compose_file(model(), "a.wav", Wish(notes=40, seed=3, soundfont=font))
    assert facts == same
    sound = samples(data)
    assert sound.shape[1] == 2
    assert np.abs(sound).max() > 300, "it is heard"
    assert len(sound) >= facts["seconds"] * 44_100
    assert len(samples(tone)) >= facts["seconds"] * 44_100
    assert data == compose_file(model(), "a.wav", Wish(notes=40, seed=3, soundfont=font))[0]


def test_what_is_no_soundfont_is_told(font, tmp_path):
    broken, foreign = tmp_path / "broken.sf2", tmp_path / "song.mid"
    broken.write_bytes(font.read_bytes()[:100_000])
    foreign.write_bytes(b"MThd" + bytes(100))
    for path, told in (
        (broken, "could not play it, .*try another"),
        (foreign, "is no SoundFont"),
        (tmp_path / "none.sf2", "No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(FarmError, match=told) as error:
            compose_file(model(), "a.wav", Wish(notes=20, soundfont=path))
        assert str(error.value).startswith(str(path))


def test_without_the_program_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FarmError, match=r"a\.sf2: .*FluidSynth, which is not installed; install it .*built-in tone"):
        compose_file(model(), "a.wav", Wish(notes=20, soundfont=Path("a.sf2")))


def test_a_soundfont_is_for_sound_only():
    with pytest.raises(FarmError, match=r"a\.mid: a SoundFont is for sound; give a name that ends in \.wav"):
        compose_file(model(), "a.mid", Wish(notes=20, soundfont=Path("a.sf2")))


def test_each_of_several_pieces_is_what_it_is_alone(tmp_path):
    (tmp_path / "m.farm.safetensors").write_bytes(
        pack_model(network(), ARCHITECTURE, Encoding(), {"style": "bach"}, "float32")
    )
    wish = Wish(notes=40, seed=11, pieces=3)
    told = compose_pieces(str(tmp_path / "m.farm.safetensors"), tmp_path / "a.mid", wish, Storage(tmp_path))
    assert [Path(one["output"]).name for one in told] == ["a-1.mid", "a-2.mid", "a-3.mid"]
    for number, one in enumerate(told):
        alone, facts = compose_file(model(), "a.mid", Wish(notes=40, seed=11 + number))
        assert Path(one["output"]).read_bytes() == alone
        assert one["seed"] == facts["seed"] == 11 + number
    assert len({Path(one["output"]).read_bytes() for one in told}) == 3
    assert not (tmp_path / "a.mid").exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"not a midi file", "not-music: starts with b'not a midi f'; name another"),
        (b"", "not-music: the file is empty; name another"),
        (b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 1, 224]) + b"MTrk" + bytes([0, 0, 0, 4, 0, 255, 47, 0]), "no-notes"),
    ],
)
def test_a_primer_without_music_is_told(tmp_path, data, told):
    (tmp_path / "m.farm.safetensors").write_bytes(
        pack_model(network(), ARCHITECTURE, Encoding(), {"style": "bach"}, "float32")
    )
    primer = tmp_path / "primer.mid"
    primer.write_bytes(data)
    with pytest.raises(FarmError, match=re.escape(f"{primer}: {told}")) as error:
        compose_pieces(
            str(tmp_path / "m.farm.safetensors"), tmp_path / "a.mid", Wish(notes=9), Storage(tmp_path), primer
        )
    assert error.value.exit_code == 2
    assert not (tmp_path / "a.mid").exists()


def test_one_piece_keeps_its_name():
    assert numbered(Path("x/a.b.mid"), 1) == [Path("x/a.b.mid")]
    assert numbered(Path("x/a.b.mid"), 2)[1] == Path("x/a.b-2.mid")


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Wish(pieces=0), "pieces is 0, which is out of range; give 1 to 10,000"),
        (Wish(pieces=10_001), "pieces is 10001"),
        (Wish(temperature=0.0), "temperature is 0.0, which is out of range; give more than 0, at most 10"),
        (Wish(temperature=100.0), "temperature is 100.0"),
        (Wish(temperature=float("nan")), "temperature is nan"),
        (Wish(top_p=0.0), "top-p is 0.0, which is out of range; give more than 0, at most 1"),
        (Wish(notes=0), "notes is 0, which is out of range; give 1 to 1,000,000"),
        (Wish(notes=10**13), "notes is 10000000000000"),
        (Wish(bars=-3), "bars is -3"),
        (Wish(bars=10**9), "bars is 1000000000, which is out of range; give 1 to 7,812"),
        (Wish(notes=8, bars=8), "found both"),
        (Wish(tempo_bpm=0.0), "a tempo of 0 beats a minute is out of range; give 4 to 1000"),
        (Wish(notes=9, transpose=128), "leave the range of MIDI"),
    ],
)
def test_what_cannot_be_wished_is_told_with_what_can(wish, told):
    with pytest.raises(FarmError) as error:
        list(compose_files(model(), "a.mid", wish))
    assert told in str(error.value)
