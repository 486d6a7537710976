"""The program in a pack: the farm's own code, nothing but numpy under it, the same bytes as `farm compose`."""

import ast
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from farm.catalog import compose_app
from farm.catalog.compose_zip import compose_zip, sources
from farm.catalog.composer import Wish
from farm.catalog.model_file import pack_model
from farm.composing.player import architecture, weight_shapes
from farm.composing.threads import use_one_thread
from farm.music.encoding import Encoding
from farm.piece import compose_pieces
from farm.storage import Storage

ARCHITECTURE = architecture(embedding=12, layers=[10, 10], head=9)
CARD = {"style": "bach", "title": "Bäch", "composing": {"metre": "3/4", "tempo_bpm": 96.0}}

ALONE = """\
import importlib.abc, runpy, sys
import numpy
known = {*sys.stdlib_module_names, "numpy", "farm", "__main__"}
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in known:
            raise ModuleNotFoundError(f"only numpy is here, not {name}")
sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    assert sys.modules["farm"].__file__.startswith(sys.argv[0]), "the farm of the archive, no other"
"""


def model_bytes(encoding=None, card=CARD):
    encoding = encoding or Encoding()
    random = np.random.default_rng(3)
    shapes = weight_shapes(ARCHITECTURE, encoding)
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    return pack_model(weights, ARCHITECTURE, encoding, card, "int8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zip")
    (folder / "compose.pyz").write_bytes(compose_zip())
    (folder / "bach-1.farm.safetensors").write_bytes(model_bytes())
    return folder


def run_alone(folder, *arguments):
    """Run the program as somebody would who has Python, numpy and the pack, and nothing else."""
    site = Path(np.__file__).parents[1]
    code = f"import sys\nsys.path.append({str(site)!r})\n{ALONE}"
    command = [sys.executable, "-I", "-S", "-c", code, str(folder / "compose.pyz"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("name", ["a.mid", "a.musicxml", "a.wav"])
def test_numpy_alone_composes_the_same_bytes(folder, tmp_path, name):
    options = ("--notes", "60", "--seed", "7", "--transpose", "1", "--temperature", "0.9", "--top-p", "0.9")
    done = run_alone(folder, "bach-1.farm.safetensors", "-o", name, *options, "--tempo", "132")
    assert done.returncode == 0, done.stderr
    wish = Wish(notes=60, seed=7, temperature=0.9, top_p=0.9, transpose=1, tempo_bpm=132)
    (facts,) = compose_pieces(str(folder / "bach-1.farm.safetensors"), tmp_path / name, wish, Storage(tmp_path))
    assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
    assert f"{name}: {facts['notes']} notes, {facts['bars']} bars" in done.stdout
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_it_imports_from_the_archive(folder):
    code = f"""\
import sys
sys.path.append({str(Path(np.__file__).parents[1])!r})
sys.path.insert(0, "compose.pyz")
from pathlib import Path
from farm.catalog.model_file import open_model
from farm.composing.player import Player
assert "compose.pyz" in sys.modules["farm"].__file__
model = open_model(Path("bach-1.farm.safetensors"))
print(len(Player(model.architecture, model.encoding, model.weights).start(2).left))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stdout == "2\n", done.stderr


def test_it_holds_the_sources_unchanged_and_nothing_that_needs_more_than_numpy():
    found = sources()
    root = Path(compose_app.__file__).parents[2]
    for name, source in found.items():
        assert (root / name).read_bytes() == source
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {one.partition(".")[0] for one in names} <= {*sys.stdlib_module_names, "numpy", "farm"}, name


def test_equal_sources_are_equal_bytes():
    data = compose_zip()
    assert data == compose_zip()
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        assert archive.namelist() == sorted([*sources(), "__main__.py"])
    assert len(data) < 150_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.farm.safetensors"], "missing or no file"),
        (["bach-1.farm.safetensors", "--sha256", "00"], "published was 00"),
        (["bach-1.farm.safetensors", "--temperature", "0"], "temperature is 0"),
        (["bach-1.farm.safetensors", "--temperature", "100"], "temperature is 100"),
        (["bach-1.farm.safetensors", "--notes", "0"], "notes is 0"),
        (["bach-1.farm.safetensors", "--notes", "5", "--bars", "5"], "found both"),
        (["bach-1.farm.safetensors", "-o", "none/a.mid"], "give another file"),
        (["bach-1.farm.safetensors", "-o", "a.mp3"], "'.mp3'"),
        (["compose.pyz"], "compose.pyz"),
    ],
)
def test_mistakes_are_told_without_a_trace(folder, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(folder)
    assert compose_app.main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not Path("none").exists()


@pytest.mark.parametrize("composing", [[], {"metre": 3}, {"tempo_bpm": "90"}, {"tempo_bpm": -1}, {"tempo_bpm": 1e300}])
def test_a_card_that_asks_for_nonsense_is_told(tmp_path, composing, capsys):
    path = tmp_path / "bach-1.farm.safetensors"
    path.write_bytes(model_bytes(card={"style": "bach", "composing": composing}))
    assert compose_app.main([str(path), "-o", str(tmp_path / "a.mid"), "--notes", "5"]) == 2
    assert capsys.readouterr().err


def test_products_take_one_thread_unless_told_otherwise(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    use_one_thread()
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["OMP_NUM_THREADS"]) == ("1", "3")
    with zipfile.ZipFile(BytesIO(compose_zip())) as archive:
        main = archive.read("__main__.py").decode()
    assert main.index("use_one_thread()") < main.index("import main"), "before numpy is loaded"


def test_it_runs_as_a_user_would_start_it(folder):
    done = subprocess.run([sys.executable, "compose.pyz", "--help"], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0
    for option in ("--notes", "--bars", "--seed", "--temperature", "--top-p", "--transpose", "--tempo", "--sha256"):
        assert option in done.stdout
