"""Hostile model files, damaged headers, damaged packs: refused by name, nothing runs, nothing grows."""

import json
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from farm.catalog.composer import player_of
from farm.catalog.model_file import open_model, pack_model
from farm.catalog.pack_trust import check
from farm.composing.sampling import compose
from farm.errors import FarmError, IntegrityError
from farm.music.encoding import Encoding
from tests.hostile_models import hostile_models, mutated_header
from tests.pack_mutations import mutated, two_packs
from tests.small_keys import AUTHOR_LINE
from tests.test_catalog import ARCHITECTURE, CARD, network

GOOD = pack_model(network(), ARCHITECTURE, Encoding(), CARD, "int8")
NAME = "bach-1.farm.safetensors"
PEAK = 12  # times the file: its weights as float32, a copy while they are checked, and the header as objects
SLACK_BYTES = 1 << 16

WATCH = """\
import sys, json
from pathlib import Path
from farm.catalog.model_file import open_model
from farm.catalog.verify import verify
from farm.catalog.composer import player_of
from farm.errors import FarmError
refused, seen = {}, []
armed = False
def watch(event, args):
    rooms = {"pickle", "os", "subprocess", "marshal", "exec", "compile", "socket", "ctypes"}
    if armed and event.split(".")[0] in rooms and event not in ("os.scandir", "os.listdir"):
        seen.append(event)
sys.addaudithook(watch)
verify("nothing")
for folder in sorted(Path(sys.argv[1]).iterdir()):
    path = next(folder.iterdir())
    armed = True
    try:
        player_of(open_model(path))
    except FarmError as error:
        refused[folder.name] = str(error)
    problems = verify(path)
    armed = False
    assert problems and path.name in problems[0], folder
print(json.dumps({"refused": refused, "seen": sorted({*seen}), "modules": sorted(sys.modules)}))
"""
FRAMEWORKS = {"tensorflow", "keras", "torch", "jax", "h5py", "onnx", "onnxruntime", "safetensors", "zipfile", "yaml"}


def watched(files, folder):
    """Load and verify files in a process of its own; return who was refused, what ran and which frameworks came."""
    for number, data in enumerate(files.values()):
        place = folder / "files" / f"{number:02}"
        place.mkdir(parents=True)
        (place / NAME).write_bytes(data)
    command = [sys.executable, "-c", WATCH, str(folder / "files")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    refused = {list(files)[int(number)]: message for number, message in told["refused"].items()}
    return {"refused": refused, "seen": told["seen"], "frameworks": sorted(FRAMEWORKS & set(told["modules"]))}


def test_hostile_files_are_refused_by_name_and_nothing_runs(tmp_path):
    canary = tmp_path / "canary"
    files = hostile_models(GOOD, canary)
    assert len(files) >= 14
    told = watched(files, tmp_path)
    assert list(told["refused"]) == list(files)
    assert all(NAME in message for message in told["refused"].values())
    assert told["seen"] == [], "nothing was run or unpacked"
    assert told["frameworks"] == []
    assert not canary.exists()


@pytest.mark.parametrize("name", hostile_models(GOOD, Path("canary")))
def test_a_hostile_file_takes_no_memory_beyond_it(tmp_path, name):
    data = hostile_models(GOOD, tmp_path / "canary")[name]
    tracemalloc.start()
    try:
        assert opened(data) != "used"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < PEAK * len(data) + SLACK_BYTES


def opened(data: bytes) -> str:
    """Return what becomes of a file: refused, or used to its end."""
    try:
        model = open_model(data, name=NAME)
    except IntegrityError as error:
        return "refused" if NAME in str(error) else "refused without its name"
    try:
        player = player_of(model)
        compose(player, model.encoding, notes=3)
    except FarmError as error:
        return "refused with its parts" if NAME in str(error) else "refused while composing"
    return "used"


def test_damaged_headers_crash_nothing_and_take_no_memory_beyond_the_file():
    random = np.random.default_rng(0)
    outcomes: Counter[str] = Counter()
    tracemalloc.start()
    try:
        opened(GOOD)
        for _ in range(300):
            data = mutated_header(GOOD, random)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            outcomes[opened(data)] += 1
            assert tracemalloc.get_traced_memory()[1] - before < PEAK * len(data) + SLACK_BYTES
    finally:
        tracemalloc.stop()
    assert outcomes["refused"] > 150
    assert outcomes["used"] < 60


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    return two_packs(tmp_path_factory.mktemp("packs"))


def test_every_damaged_pack_is_refused_and_names_the_file(packs):
    pack, copy, others = packs
    assert check(pack, key=AUTHOR_LINE, after=copy) == []
    for number in range(220):
        with mutated(pack, number, others) as names:
            problems = check(pack, key=AUTHOR_LINE, after=copy)
            assert problems, (number, names)
            assert any(name in problem for name in names for problem in problems), (number, names, problems)
    assert check(pack, key=AUTHOR_LINE, after=copy) == []
