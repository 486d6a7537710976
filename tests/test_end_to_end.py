"""The whole farm on small music made on the spot: from a folder of MIDI files to a pack, as a person goes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from small_music import tune, write_corpus, write_midi

FARM = str(Path(sys.executable).with_name("farm"))
RECIPE = {
    "recipe": 1,
    "name": "tiny",
    "network": {"embedding": 16, "layers": [24], "head": 24, "dropout": 0.1},
    "training": {"window_notes": 32, "batch_windows": 8, "learning_rate": 0.01, "max_epochs": 4},
    "samples": {"count": 2, "notes": 64},
}


def farm(*arguments, cwd, code=0):
    """Run one command; return its standard output, or its standard error when it is meant to fail."""
    done = subprocess.run([FARM, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == code, f"{arguments} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout if code == 0 else done.stderr


def edit(path, change):
    data = yaml.safe_load(path.read_text())
    change(data)
    path.write_text(yaml.safe_dump(data, sort_keys=False))


@pytest.fixture(scope="module")
def farmed(tmp_path_factory):
    """A farm of two styles, one with a broken file and a double, run once without Ray."""
    folder = tmp_path_factory.mktemp("farm")
    write_corpus(folder / "music", {"hill songs": 12, "valley": 10})
    (folder / "music" / "valley" / "broken.mid").write_bytes(b"<html>not found</html>")
    shutil.copy(folder / "music" / "valley" / "tune-03.mid", folder / "music" / "valley" / "again.mid")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    assert "2 styles (hill-songs, valley)" in farm("init", "music", cwd=folder)
    edit(folder / "corpora.yaml", lambda data: data.update(recipe="tiny.yaml", base="none"))
    out = json.loads(farm("run", "corpora.yaml", "--executor", "local", "--cpus", "2", "--json", cwd=folder))
    return folder, out


def catalog_of(folder):
    name = (folder / "artifacts" / "catalog" / "CURRENT").read_text().split()[0]
    return json.loads((folder / "artifacts" / "catalog" / name).read_text())


def test_every_stage_ran_and_every_file_ends_in_one_state(farmed):
    folder, out = farmed
    assert out["failed"] == []
    assert {style["style"]: style["ran"][0] for style in out["styles"]} == {"hill-songs": "read", "valley": "read"}
    valley = next(style for style in out["styles"] if style["style"] == "valley")
    assert valley["states"] == {"read": 10, "duplicate": 1, "rejected": 1, "skipped": 0}
    rejects = farm("status", "--rejects", cwd=folder)
    assert "broken.mid\trejected" in rejects
    assert "again.mid\tduplicate" in rejects or "tune-03.mid\tduplicate" in rejects


def test_the_tables_agree_with_each_other(farmed):
    folder, _ = farmed
    artifacts = folder / "artifacts"
    for style in ("hill-songs", "valley"):
        pieces = pq.read_table(artifacts / "pieces" / f"{style}.parquet").to_pandas()
        notes = pq.read_table(artifacts / "notes" / style).to_pandas()
        read = pieces[pieces["state"] == "read"]
        assert len(notes) == read["notes"].sum()
        assert set(notes["piece_id"]) == set(read["piece_id"])
        assert {"train", "heldout"} == set(read["split"])
        dropped = read["notes_dropped"].map(lambda drops: sum(drop["count"] for drop in drops))
        assert (read["notes_in_file"] == read["notes"] + dropped).all()
        order = notes.groupby("piece_id", sort=False).apply(
            lambda piece: bool((np.lexsort((piece["pitch"], piece["onset_beat"])) == np.arange(len(piece))).all())
        )
        assert order.all()


def test_metrics_verdict_and_catalog_have_the_fields_of_the_contract(farmed):
    folder, _ = farmed
    catalog = catalog_of(folder)
    told = {model["style"] for model in catalog["models"]} | {failure["style"] for failure in catalog["failures"]}
    assert told == {"hill-songs", "valley"}
    for run in (folder / "artifacts" / "runs").glob("*/*"):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "bits_per_note", "val_bits_per_note"):
            assert all(isinstance(line[name], float) for line in lines)
        for name in ("grad_norm", "learning_rate", "seconds", "notes_per_second"):
            assert all(name in line for line in lines)
        assert lines[-1]["val_loss"] < lines[0]["val_loss"]
        verdict = json.loads((run / "verdict.json").read_text())
        for name in (
            "epoch",
            "provisional",
            "verdict",
            "plateau",
            "blow_up",
            "confidence",
            "reason",
            "rule",
            "candidates",
        ):
            assert name in verdict


def test_a_second_run_does_nothing_and_starts_nothing(farmed):
    folder, _ = farmed
    before = catalog_of(folder)
    site = {path: path.stat().st_mtime_ns for path in (folder / "artifacts" / "site").rglob("*") if path.is_file()}
    out = json.loads(farm("run", "corpora.yaml", "--json", cwd=folder))
    assert [style["ran"] for style in out["styles"]] == [[], []]
    assert catalog_of(folder) == before
    assert site == {path: path.stat().st_mtime_ns for path in site}
    assert "fresh" in farm("plan", cwd=folder)


def test_a_changed_rule_judges_again_and_neither_trains_nor_composes(farmed):
    folder, _ = farmed
    samples = {path: path.stat().st_mtime_ns for path in folder.glob("artifacts/runs/*/*/samples/*.json")}
    assert samples
    edit(folder / "tiny.yaml", lambda data: data.update(selection={"plateau_share": 0.25}))
    out = json.loads(farm("run", "--executor", "local", "--until", "judge", "--json", cwd=folder))
    assert [style["ran"] for style in out["styles"]] == [["judge"]] * 2
    assert samples == {path: path.stat().st_mtime_ns for path in samples}  # none composed again
    for verdict in folder.glob("artifacts/runs/*/*/verdict.json"):
        assert json.loads(verdict.read_text())["rule"]["plateau_share"] == 0.25
    farm("run", "--executor", "local", cwd=folder)


def test_a_person_approves_ships_verifies_and_composes(farmed):
    folder, _ = farmed
    style = catalog_of(folder)["models"][0]["style"] if catalog_of(folder)["models"] else "valley"
    assert "needs its reason" in farm("approve", style, "--epoch", "3", "--why", " ", cwd=folder, code=2)
    assert "choose from 1, 2, 3, 4" in farm("approve", style, "--epoch", "9", "--why", "x", cwd=folder, code=2)
    assert "epoch 3, approved" in farm("approve", style, "--epoch", "3", "--why", "the liveliest", cwd=folder)
    assert "unknown" in farm("ship", "pack", cwd=folder, code=2)
    edit(
        folder / "corpora.yaml",
        lambda data: [source.update(licence="CC0-1.0") for one in data["styles"].values() for source in one["sources"]],
    )
    farm("run", "--executor", "local", cwd=folder)
    farm("approve", style, "--epoch", "3", "--why", "the liveliest", cwd=folder)
    assert "1 models" in farm("ship", "pack", cwd=folder)
    assert "every hash holds" in farm("verify", "pack", cwd=folder)
    (model,) = (folder / "pack").rglob("*.safetensors")
    facts = json.loads(
        farm("compose", str(model), "-o", "x.mid", "--notes", "100", "--seed", "5", "--json", cwd=folder)
    )
    farm("compose", style, "-o", "y.mid", "--notes", "100", "--seed", "5", cwd=folder)
    assert (folder / "x.mid").read_bytes() == (folder / "y.mid").read_bytes()
    assert 25 <= facts["notes"] <= 100
    farm("compose", style, "-o", "z.musicxml", "--bars", "4", cwd=folder)
    farm("compose", style, "-o", "z.wav", "--notes", "32", "--primer", "music/valley/tune-01.mid", cwd=folder)
    assert (folder / "z.wav").read_bytes()[:4] == b"RIFF"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    assert model.name in farm_problems(folder, "verify", "pack")
    assert "hash" in farm("compose", str(model), "-o", "x.mid", cwd=folder, code=2)
    early = ("approve", style, "--epoch", "2", "--why", "simpler")
    assert "Worse than version" in farm(*early, cwd=folder, code=2)
    (candidate,) = (one for one in catalog_of(folder)["models"] if one["style"] == style)
    assert (candidate["status"], candidate["compared"]["sha256"]) == ("candidate", sha256_shipped(folder, style))
    assert candidate["compared"]["delta_bits"] > 0.02
    assert "epoch 2, approved" in farm(*early, "--although", "the app wants it simple", cwd=folder)


def sha256_shipped(folder, style):
    """The hash in the last line that says a style was shipped."""
    lines = (folder / "artifacts" / "ledger" / "decisions.jsonl").read_text().splitlines()
    return next(
        one["sha256"] for one in map(json.loads, reversed(lines)) if (one["style"], one["status"]) == (style, "shipped")
    )


def farm_problems(folder, *arguments):
    done = subprocess.run([FARM, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    return done.stdout


def test_one_changed_file_farms_only_its_style(farmed):
    folder, _ = farmed
    write_midi(folder / "music" / "valley" / "tune-02.mid", tune(77, bars=14))
    out = json.loads(farm("run", "--executor", "local", "--json", cwd=folder))
    ran = {style["style"]: style["ran"] for style in out["styles"]}
    assert ran["hill-songs"] == []
    assert ran["valley"][:1] == ["read"]
    assert "train" in ran["valley"]


def test_a_style_that_fails_does_not_stop_the_other(farmed, tmp_path):
    folder, _ = farmed
    shutil.copytree(folder / "music", tmp_path / "music")
    shutil.copy(folder / "tiny.yaml", tmp_path)
    shutil.copy(folder / "corpora.yaml", tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "a.mid").write_bytes(b"MThd")
    write_midi(tmp_path / "alone" / "only.mid", tune(5, bars=60))

    def add(data):
        del data["styles"]["hill-songs"]
        for name in ("empty", "noise", "missing", "alone"):
            data["styles"][name] = {"sources": [{"folder": name}]}

    edit(tmp_path / "corpora.yaml", add)
    done = subprocess.run(
        [FARM, "run", "--executor", "local", "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    out = done.stdout
    catalog = catalog_of(tmp_path)
    failed = {failure["style"]: failure["message"] for failure in catalog["failures"] if failure["stage"] == "read"}
    assert set(failed) == {"empty", "noise", "missing"}
    assert "none of its 1 files could be read" in failed["noise"]
    assert "missing" in failed["missing"]
    assert not [
        failure for failure in catalog["failures"] if failure["style"] == "alone" and failure["stage"] != "judge"
    ]
    assert json.loads(out)["styles"][-1]["ran"] == ["read", "baseline", "train", "judge", "publish"]
    assert "empty" in (tmp_path / "artifacts" / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml: no such file; write one with 'farm init"),
        (["run", "--styles", "nobody"], "no style nobody; it has hill-songs, valley"),
        (["run", "--until", "lunch"], "'lunch' is not a stage; choose from read, train, judge, publish"),
        (["compose", "nobody"], "nobody: no such style"),
        (["compose", "valley", "--temperature", "0"], "temperature"),
        (["init", "music"], "corpora.yaml is there already; choose another name with -o"),
        (["init", "nowhere", "-o", "x.yaml"], "nowhere: no such folder"),
        (["approve", "nobody", "--why", "x"], "nobody: is not in the catalog"),
        (["ship", "pack2", "--budget", "lots"], "'lots' is no size"),
        (["verify", "nowhere"], "nowhere"),
        (["run", "--nope"], "No such option: --nope; see 'farm --help'"),
        (["sow"], "No such command 'sow'"),
    ],
)
def test_a_mistake_gets_a_message_and_no_trace(farmed, arguments, message):
    folder, _ = farmed
    done = subprocess.run([FARM, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_ray_does_the_same_and_leaves_no_process(farmed, tmp_path):
    folder, _ = farmed
    shutil.copytree(folder / "music", tmp_path / "music")
    shutil.copy(folder / "tiny.yaml", tmp_path)
    shutil.copy(folder / "corpora.yaml", tmp_path)
    edit(tmp_path / "corpora.yaml", lambda data: data["styles"].pop("hill-songs"))
    before = ray_processes()
    out = json.loads(farm("run", "--cpus", "2", "--json", cwd=tmp_path))
    assert out["failed"] == []
    for kind in ("notes", "pieces"):
        ours, theirs = (sorted((root / "artifacts" / kind).rglob("*valley*/*.parquet")) for root in (tmp_path, folder))
        assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]
    assert not [line for line in processes() if str(tmp_path) in line]
    assert ray_processes() <= before


def ray_processes():
    """Return the folders of every Ray of a farm that is running on this machine."""
    return {part for line in processes() for part in line.split("/") if part.startswith("farm-ray-")}


def session_of(pid):
    """Return the processes of a session that are still there; its leader is `pid`."""
    shown = subprocess.run(["ps", "-eo", "sid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in shown.splitlines()]
    return [row[2] for row in rows if row[0] == str(pid) and not row[1].startswith("Z")]


def processes():
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(farmed, tmp_path, executor):
    folder, _ = farmed
    shutil.copytree(folder / "music", tmp_path / "music")
    shutil.copy(folder / "corpora.yaml", tmp_path)
    training = {**RECIPE["training"], "max_epochs": 100, "patience_epochs": 1000}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**RECIPE, "training": training}))
    command = ["run", "--executor", executor, "--styles", "valley", "--until", "train"]
    run = subprocess.Popen([FARM, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "artifacts").glob("runs/valley/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "already working in this folder" in farm(*command, cwd=tmp_path, code=2)
    assert json.loads(farm("status", "--json", cwd=tmp_path))["running"] is True
    assert len(session_of(run.pid)) > 1
    os.kill(run.pid, signal.SIGTERM)
    _, told = run.communicate(timeout=20)
    assert run.returncode == 143
    assert "'farm run corpora.yaml' goes on from there" in told
    deadline = time.monotonic() + 5
    while (left := session_of(run.pid)) and time.monotonic() < deadline:  # a process that ends is seen for a moment
        time.sleep(0.05)
    assert left == []
    assert not [line for line in processes() if f"farm-ray-{run.pid}-" in line]
    (metrics,) = (tmp_path / "artifacts").glob("runs/valley/*/metrics.jsonl")
    before = metrics.read_text().splitlines()
    assert 1 <= len(before) < 100
    farm("run", "--executor", "local", *command[3:], cwd=tmp_path)
    assert [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()][-1] == 100
    assert metrics.read_text().splitlines()[: len(before) - 1] == before[:-1]
