"""Who may import whom, which library has which door, and how large a file may grow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FARM = Path(__file__).parent.parent / "farm"
MODULES = sorted(FARM.rglob("*.py"))

# A room may import from its own level only itself, and from any level below.
LEVELS = [
    {"cli"},
    {"commands"},
    {"planning", "status", "doctor", "starting", "progress", "piece", "picking"},
    {"scheduling"},
    {"original"},
    {"training", "catalog", "website", "corpus"},
    {"composing", "selection"},
    {"tables"},
    {"music"},
    {"config", "farm_config", "config_file", "yaml_lines", "layout", "storage", "stores", "errors", "quiet"},
]
# Same-level imports that are the design: `status` words what `progress` words too.
ALSO = {("status", "progress")}

DOORS = {
    "ray": {"scheduling/cluster.py"},
    "music21": {"corpus/readers.py"},
    "symusic": {"corpus/readers.py"},
    "keras": {"training", "original/network.py"},
    "tensorflow": {"training", "catalog/tflite_export.py", "catalog/examples/tflite_step.py"},
    "onnx": {"catalog/onnx_export.py"},
    "onnxruntime": {"catalog/examples/onnx_step.py"},
    "ai_edge_litert": {"catalog/examples/tflite_step.py"},
    "matplotlib": {
        *("website/drawing.py", "website/figures.py", "website/trade_figure.py"),
        "website/pick_figure.py",
    },
    "PIL": {"website/growing.py"},
    "verovio": {"website/engraving.py"},
    "jax": {"training"},
    "torch": {"training"},
    "numba": {"training", "corpus/compiled.py"},
    "minisign": {"catalog/signing.py"},
    "boto3": {"stores/puts.py"},
    "botocore": {"stores/puts.py"},
    "pyarrow.fs": {"stores/bucket.py"},
}


def room(module: str) -> str:
    if module.startswith("farm.corpus.tables"):
        return "tables"
    return module.split(".")[1] if "." in module else "errors"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if node.module in ("farm", "farm.corpus", "pyarrow")
            }
    return found


def level(name: str) -> int:
    return next(index for index, rooms in enumerate(LEVELS) if name in rooms)


def name_of(path: Path) -> str:
    return "farm." + ".".join(path.relative_to(FARM).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FARM)))
def test_rooms_import_downwards_only(path):
    if path.name == "__init__.py":
        assert not path.read_text().strip(), "a room's __init__ is empty: nothing happens at import"
        return
    here = room(name_of(path))
    for module in imports(path):
        if not module.startswith("farm.") or module == "farm.corpus":
            continue
        there = room(module)
        allowed = there == here or level(there) > level(here) or (here, there) in ALSO
        allowed = allowed or (level(here) == level(there) == len(LEVELS) - 1)
        assert allowed, f"{name_of(path)} imports {module}, which is not below it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FARM)))
def test_heavy_libraries_have_one_door_each(path):
    where = str(path.relative_to(FARM))
    for module in imports(path):
        doors = DOORS.get(module, DOORS.get(module.split(".")[0]))
        assert doors is None or any(where == door or where.startswith(f"{door}/") for door in doors), (
            f"{where} imports {module}; its door is {doors}"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FARM)))
def test_files_stay_readable(path):
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 320
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno <= 75, f"{path.name}: {node.name} is too long"
    if path.name != "__init__.py":
        assert ast.get_docstring(tree), f"{path.name} does not say what it is for"


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        ("import farm.cli", "tensorflow keras ray pandas pyarrow music21 matplotlib numpy"),
        ("import farm.composing.threads, farm.commands.models", "numpy"),
        ("import farm.scheduling.plan, farm.scheduling.queue", "tensorflow keras ray music21 symusic matplotlib"),
        ("import farm.training.__main__", "tensorflow keras jax torch ray numba music21 symusic matplotlib"),
        ("import farm.status", "tensorflow keras ray music21 matplotlib"),
        ("import farm.picking", "tensorflow keras ray pandas pyarrow music21 symusic numba matplotlib"),
        (
            "import farm.piece",
            "tensorflow keras ray pandas pyarrow pydantic music21 matplotlib",
        ),
    ],
)
def test_quick_commands_load_no_heavy_library(statement, never):
    code = f"{statement}\nimport sys\nprint(sorted(set({never.split()!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
