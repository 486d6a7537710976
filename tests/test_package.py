"""The wheel: what is installed elsewhere holds everything it needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_music import write_corpus

ROOT = Path(__file__).parent.parent
RUN = "import sys; from farm.cli import main; sys.argv[0] = 'farm'; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where the wheel was installed, away from the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    target = folder / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    return target


def run(installed, *arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", "-c", RUN, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_holds_recipes_and_pages(installed):
    names = {str(path.relative_to(installed)) for path in (installed / "farm").rglob("*") if path.is_file()}
    for name in ("farm/jobs/compact.yaml", "farm/website/templates/index.html", "farm/catalog/examples/onnx_step.py"):
        assert name in names
    assert any(name.startswith("farm/website/static/") for name in names)
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "farm" / "catalog" / "page").rglob("*") if path.is_file()}
    assert len(page) > 15
    assert page <= names, "what compose.html is made of"


def test_the_wheel_farms_outside_the_tree(installed, tmp_path):
    write_corpus(tmp_path / "music", {"songs": 6}, bars=8)
    assert run(installed, "init", "music", cwd=tmp_path).returncode == 0
    training = {"max_epochs": 1, "batch_windows": 4}
    data = yaml.safe_load((tmp_path / "corpora.yaml").read_text())
    data["recipe"] = "quick"
    data["styles"]["songs"]["training"] = training
    (tmp_path / "corpora.yaml").write_text(yaml.safe_dump(data))
    done = run(installed, "run", "--executor", "local", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "artifacts" / "site" / "index.html").exists()
    where = run(installed, "doctor", cwd=tmp_path)
    assert "Everything is there" in where.stdout
