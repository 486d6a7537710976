"""`farm pick`: the same answer however a log is written, and a clear one where it cannot be read."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from typer.testing import CliRunner

from farm.cli import app
from farm.config import Selection
from farm.errors import LogError
from farm.picking import pick_facts, pick_lines
from farm.selection.table_text import read_table
from farm.selection.training_log import read_log, read_people, read_snapshots
from farm.selection.verdict import judge
from farm.website.drawing import GOOD, HELD, TRAIN

CURVES = Path(__file__).parent / "data" / "curves"
NAMES = sorted(path.name.removesuffix(".snap.csv") for path in CURVES.glob("*.snap.csv"))
FIRST = "own01_adam_n30_lr0.003_d0"
BLOWN = "own24_sgd_noclip_lr4"
COLUMNS = ("accuracy", "loss", "val_accuracy", "val_loss")


@pytest.fixture(autouse=True)
def _few_replicas(monkeypatch):
    """How sure a pick is is tested with the rule; here it would only take time."""
    monkeypatch.setattr("farm.picking.Selection", _Quick)


class _Quick(Selection):
    replicas: int = 3


def rows_of(name: str) -> list[dict[str, str]]:
    with (CURVES / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def as_json_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as the farm's own metrics.jsonl."""
    lines = [json.dumps({"epoch": int(row["epoch"]), **{name: float(row[name]) for name in COLUMNS}}) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def as_keras(
    path: Path, rows: list[dict[str, Any]], separator: str = ",", shift: int = -1, accuracy="accuracy"
) -> Path:
    """Write rows as Keras's CSVLogger does: epochs from 0, the other columns by the alphabet."""
    header = separator.join(["epoch", *(name.replace("accuracy", accuracy) for name in COLUMNS)])
    lines = [separator.join([str(int(row["epoch"]) + shift), *(row[name] for name in COLUMNS)]) for row in rows]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def falling(n: int = 60) -> list[dict[str, str]]:
    """Return a made log: a loss that falls and levels off."""
    loss = [0.3 + 4 * math.exp(-epoch / 8) for epoch in range(n)]
    return [
        {
            "epoch": str(epoch + 1),
            "loss": f"{value:.5f}",
            "accuracy": f"{math.exp(-0.28 * value**1.5):.5f}",
            "val_loss": f"{value + 0.05:.5f}",
            "val_accuracy": f"{math.exp(-0.3 * value**1.5):.5f}",
        }
        for epoch, value in enumerate(loss)
    ]


def run(*arguments: object):
    return subprocess.run(
        [sys.executable, "-c", "from farm.cli import main; main()", "pick", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


# The same log, written differently


@pytest.mark.parametrize("name", NAMES)
def test_the_pick_is_the_same_in_json_lines_and_as_keras_writes_it(name, tmp_path):
    rows, snapshots, human = rows_of(name), CURVES / f"{name}.snap.csv", CURVES / f"{name}.json"
    with snapshots.open() as file:
        heard = list(csv.DictReader(file))
    expected = judge(rows, heard, json.loads(human.read_text()), _Quick(), name)
    ours = pick_facts(as_json_lines(tmp_path / "log.jsonl", rows), snapshots=snapshots, human=human)
    keras = pick_facts(as_keras(tmp_path / "log.csv", rows, shift=0), snapshots=snapshots, human=human)
    own = pick_facts(CURVES / f"{name}.csv", snapshots=snapshots, human=human)
    for facts in (ours, keras, own):
        assert facts["epochs_from"] == 1
        different = {key for key in expected if facts[key] != expected[key]} - {"style"}
        assert not different


@pytest.mark.parametrize("every", [1, 25])
@pytest.mark.parametrize("name", [FIRST, BLOWN, "own25_sgd_noclip_lr8"])
def test_a_log_that_counts_from_0_gives_the_same_pick_in_its_own_numbers(name, every, tmp_path):
    rows = rows_of(name)
    one = pick_facts(as_keras(tmp_path / "one.csv", rows, shift=0), every=every)
    zero = pick_facts(as_keras(tmp_path / "zero.csv", rows), every=every)
    assert zero["epochs_from"] == 0
    assert zero["epoch"] == one["epoch"] - 1
    assert zero["neighbours"] == [epoch - 1 for epoch in one["neighbours"]]
    assert zero["plateau"] == {end: epoch - 1 for end, epoch in one["plateau"].items()}
    assert zero["blow_up"] == (None if one["blow_up"] is None else one["blow_up"] - 1)
    shifted = [f"{flag[: flag.index('@')]}@{int(flag.partition('@')[2]) - 1}" for flag in one["flags"] if "@" in flag]
    assert [flag for flag in zero["flags"] if "@" in flag] == shifted
    for same in ("verdict", "confidence", "signal", "fit", "at_pick"):
        assert zero[same] == one[same]
    assert f"Epoch {zero['epoch']} is the pick." in zero["reason"]
    said = " ".join(pick_lines(zero))
    assert "count from 0" in said
    assert f"call this one {zero['epoch'] + 1}" in said


def test_epoch_0_can_be_picked_and_snapshots_count_as_the_log_counts(tmp_path):
    rows = falling(30)
    for row in rows:
        row["loss"] = row["val_loss"] = f"{1 + int(row['epoch']) / 100}"
    rows[0]["loss"] = rows[0]["val_loss"] = "3"
    (tmp_path / "kept.csv").write_text("epoch\n0\n")
    facts = pick_facts(as_keras(tmp_path / "log.csv", rows), snapshots=tmp_path / "kept.csv")
    assert facts["epoch"] == 0
    assert pick_lines(facts)[0] == "Epoch 0 is the pick."
    assert [row["epoch"] for row in facts["candidates"]] == [0]


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
@pytest.mark.parametrize("accuracy", ["acc", "sparse_categorical_accuracy", "categorical_accuracy", "pitch_accuracy"])
def test_names_and_separators_of_others_change_nothing(separator, accuracy, tmp_path):
    rows = rows_of(FIRST)
    usual = read_log(as_keras(tmp_path / "usual.csv", rows))
    other = read_log(as_keras(tmp_path / "other.csv", rows, separator, accuracy=accuracy))
    assert other.records == usual.records
    assert other.named["accuracy"] == (accuracy,)
    assert other.named["val_accuracy"] == (f"val_{accuracy}",)
    assert any(accuracy in note for note in other.notes)


def test_a_history_that_pandas_wrote_is_read(tmp_path):
    text = as_keras(tmp_path / "log.csv", falling()).read_text()
    (tmp_path / "pandas.csv").write_text(text.removeprefix("epoch"))
    found = read_log(tmp_path / "pandas.csv")
    assert found.records == read_log(tmp_path / "log.csv").records
    assert any("no name" in note for note in found.notes)


def test_percent_decimal_commas_quotes_bom_and_windows_lines(tmp_path):
    path = tmp_path / "log.csv"
    lines = ["\ufeffEpoch;Loss;Accuracy", *(f'"{n}";"{3 / n:.3f}";{10 + n}' for n in range(1, 5))]
    path.write_bytes("\r\n".join(lines).replace(".", ",").encode())
    found = read_log(path)
    assert [row["loss"] for row in found.records] == [3.0, 1.5, 1.0, 0.75]
    assert [row["accuracy"] for row in found.records] == pytest.approx([0.11, 0.12, 0.13, 0.14])
    assert found.notes == ("accuracy is in percent",)


def test_only_loss_is_needed(tmp_path):
    rows = rows_of(FIRST)
    (tmp_path / "log.csv").write_text("epoch,loss\n" + "".join(f"{row['epoch']},{row['loss']}\n" for row in rows))
    facts = pick_facts(tmp_path / "log.csv")
    assert facts["epoch"] is not None
    assert set(facts["at_pick"]) == {"loss"}


# Logs as they come: gone on with, cut off, with gaps


def test_a_log_that_was_gone_on_with_may_repeat_its_header_and_its_epochs(tmp_path):
    rows = rows_of(FIRST)
    whole = as_keras(tmp_path / "whole.csv", rows)
    early, late = [{**row, "loss": "9"} for row in rows[:60]], rows[30:]
    first = as_keras(tmp_path / "first.csv", rows[:30] + early[30:]).read_text()
    second = as_keras(tmp_path / "second.csv", late).read_text()
    other_order = "val_loss,loss,epoch,val_accuracy,accuracy\n" + "".join(
        f"{row['val_loss']},{row['loss']},{int(row['epoch']) - 1},{row['val_accuracy']},{row['accuracy']}\n"
        for row in late
    )
    for added in (second, second.split("\n", 1)[1], other_order):
        path = tmp_path / "resumed.csv"
        path.write_text(first + added)
        found = read_log(path)
        assert found.records == read_log(whole).records
        assert found.notes == ("30 of 500 epochs are there more than once; what was written last counts",)


def test_order_and_blank_lines_do_not_matter(tmp_path):
    rows = falling()
    path = as_keras(tmp_path / "log.csv", rows)
    header, *lines = path.read_text().splitlines()
    (tmp_path / "mixed.csv").write_text("\n\n".join([header, *lines[::-1]]))
    assert read_log(tmp_path / "mixed.csv").records == read_log(path).records


def test_lines_for_training_and_for_held_out_music_are_one_epoch(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,step,train_loss,val_loss\n0,9,3.5,\n0,9,,3.6\n1,19,NA,2.9\n1,19,2.5,null\n")
    assert read_log(path).records == (
        {"epoch": 0, "loss": 3.5, "val_loss": 3.6},
        {"epoch": 1, "val_loss": 2.9, "loss": 2.5},
    )


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "NaN", "", "NA", "1e999"])
def test_a_loss_that_is_no_number_is_where_training_broke(cell, tmp_path):
    rows = falling()
    rows[44]["loss"] = cell
    facts = pick_facts(as_keras(tmp_path / "log.csv", rows))
    assert facts["blow_up"] == 44
    assert facts["epoch"] is not None
    assert facts["epoch"] < 43
    json.dumps(facts, allow_nan=False)


def test_gaps_in_epochs_keep_their_numbers(tmp_path):
    rows = [row for row in rows_of(FIRST) if int(row["epoch"]) % 5 == 0]
    facts = pick_facts(as_keras(tmp_path / "log.csv", rows, shift=0))
    assert facts["epoch"] % 5 == 0
    assert facts["epochs_from"] == 1
    facts = pick_facts(tmp_path / "log.csv", every=50)
    assert [row["epoch"] for row in facts["candidates"]] == list(range(50, 501, 50))


def test_held_out_values_now_and_then_are_told_but_not_judged(tmp_path):
    rows = falling()
    for row in rows:
        if int(row["epoch"]) % 5:
            row["val_loss"] = ""
    facts = pick_facts(as_keras(tmp_path / "log.csv", rows), plot=tmp_path / "log.png")
    assert facts["signal"] == "shoulder"
    assert any("val_loss has too few values" in note for note in facts["notes"])


@pytest.mark.parametrize("cut", [1, 5, 12, 20])
@pytest.mark.parametrize("write", [as_keras, as_json_lines])
def test_a_last_line_that_was_never_finished_is_left_out_and_told(write, cut, tmp_path):
    rows = falling()
    whole = write(tmp_path / "whole", rows[:-1]).read_text()
    text = write(tmp_path / "log", rows).read_text()
    (tmp_path / "log").write_text(whole + text[len(whole) :][:cut])
    found = read_log(tmp_path / "log")
    assert found.epochs == read_log(tmp_path / "whole").epochs
    assert len(found.notes) == 1
    assert "never finished" in found.notes[0]
    assert f"line {len(whole.splitlines()) + 1}" in found.notes[0]


def test_a_line_of_the_farm_that_was_closed_off_when_it_went_on_is_left_out(tmp_path):
    lines = as_json_lines(tmp_path / "log.jsonl", falling()).read_text().splitlines()
    (tmp_path / "log.jsonl").write_text("\n".join([*lines[:20], lines[20][:30], *lines[20:]]) + "\n")
    found = read_log(tmp_path / "log.jsonl")
    assert found.epochs == list(range(1, 61))
    assert found.notes == ("line 21 was never finished and is left out",)


def test_a_run_of_the_farm_is_judged_as_the_farm_judged_it(tmp_path):
    folder = tmp_path / "runs" / "bach" / "1f2e"
    folder.mkdir(parents=True)
    rows = [{**row, "loss": f"{4 + float(row['loss']) / 20}", "accuracy": "0.1"} for row in falling()]
    log = as_json_lines(folder / "metrics.jsonl", rows)
    assert pick_facts(log)["verdict"] == "did-not-learn"
    about = {"recipe": {"selection": Selection(replicas=2).model_dump()}, "start_loss": 12.0, "seed": 7}
    (folder / "recipe.json").write_text(json.dumps(about))
    facts = pick_facts(log)
    expected = judge(read_log(log).records, [], None, Selection(replicas=2), "bach", start_loss=12.0, seed=7)
    assert {key: facts[key] for key in expected} == expected
    (folder / "recipe.json").write_text("{}")
    with pytest.raises(LogError, match="not the recipe of a run of the farm"):
        pick_facts(log)


# What cannot be read


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "binary"),
        (b"\xff\xd8\xff\xe0abc", "binary"),
        (b"epoch,accuracy\n1,.5\n", "no column of the loss, found epoch, accuracy"),
        (b"step,loss\n1,.5\n", "no column of epochs, found step, loss"),
        (b"hello\n", "no column of epochs, found hello"),
        (b"Dear log,\nI trained today.\n", "no column of epochs"),
        (b"Today I trained.\nIt went well.\n", "neither CSV nor JSON lines"),
        (b"epoch,loss\n1,.5\n2,.4,.3\n3,.3\n", ":3: 3 cells where the header names 2"),
        (b"epoch,loss\n1,.5\n2\n3,.3\n", ":3: 1 cells where the header names 2"),
        (b'epoch,loss\n1,".5\n2,.4\n3,.3\n', ":2: is no CSV .*; close its quotes"),
        (b'epoch,loss,of\n1,.5,"a\n2,.4,b\n3,.3,c\n', ":2: is no CSV .*; close its quotes"),
        (b"epoch,loss\n1,.5\ntwo,.4\n3,.3\n", ":3: epoch 'two' is no whole number"),
        (b"epoch,loss\n1,.5\n,.4\n3,.3\n", ":3: epoch is missing"),
        (b"epoch,loss\n1.5,.5\n", ":2: epoch '1.5' is no whole number"),
        (b"epoch,loss\n-1,.5\n", ":2: epoch '-1' is no whole number"),
        (b"epoch,loss\n1e300,.5\n", ":2: epoch '1e300' is no whole number"),
        (b"epoch,loss\n1,.5\n2,lots\n", ":3: loss 'lots' is no number"),
        (b'{"epoch": 1, "loss": 1}\nnot json\n', ":2: is no JSON"),
        (b'{"epoch": 1, "loss": 1}\n{"epoch": 2, "loss": }\n', ":2: is no JSON"),
        (b'{"epoch": 1, "loss": 1}\n[2, 1]\n', ":2: is no JSON object"),
        (b'{"epoch": true, "loss": 1}\n', ":1: epoch 'true' is no"),
        (b'{"epoch": 1, "loss": [1]}\n', r":1: loss '\[1\]' is no number"),
        (b'{"loss": 1}\n', "no column of epochs, found loss"),
        (b'{"epoch": 1}\n', "no column of the loss, found epoch"),
        (b'{\n "epoch": [1, 2]\n}\n', ":2: is no JSON"),
        (b"[1, 2]\n", ":1: is no JSON object"),
    ],
)
def test_a_log_that_cannot_be_read_says_where_and_why(content, told, tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(LogError, match=told) as raised:
        pick_facts(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "; " in message, "it says what to do"
    assert "\n" not in message


def test_what_goes_with_a_log_must_fit_it(tmp_path):
    log = read_log(as_keras(tmp_path / "log.csv", falling()))
    kept = tmp_path / "kept.csv"
    kept.write_text("epoch\n10\n60\n")
    with pytest.raises(LogError, match=r"epoch 60 is not in .*60 epochs, 0 to 59, counted from 0"):
        read_snapshots(kept, log)
    kept.write_text("epoch,lcs_mean\n")
    with pytest.raises(LogError, match="there are no snapshots"):
        read_snapshots(kept, log)
    kept.write_text("name,lcs_mean\na,3\n")
    with pytest.raises(LogError, match="no column of epochs"):
        read_snapshots(kept, log)
    with pytest.raises(LogError, match="--every 61 leaves no epoch"):
        pick_facts(log.path, every=61)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("{", "is no JSON"),
        ("[1]", "no JSON object of measures"),
        ('{"corpus_heldout": 3}', "no JSON object of measures"),
        ('{"V": 88}', "no measure of lcs, .*found V"),
        ('{"lcs": 12}', "lcs is no pair of numbers, found '12'"),
        ('{"lcs": [3, "x"]}', "lcs is no pair of numbers"),
    ],
)
def test_people_must_be_told_as_measures(text, told, tmp_path):
    (tmp_path / "human.json").write_text(text)
    with pytest.raises(LogError, match=told):
        read_people(tmp_path / "human.json")


def test_options_that_have_no_use_are_told(tmp_path):
    facts = pick_facts(CURVES / f"{FIRST}.csv", human=CURVES / f"{FIRST}.json")
    assert any("--human is not used" in note for note in facts["notes"])
    facts = pick_facts(CURVES / f"{FIRST}.csv", snapshots=CURVES / f"{FIRST}.snap.csv", every=25)
    assert any("--every 25 is not used" in note for note in facts["notes"])


@pytest.mark.parametrize(
    "text", ["epoch,loss\n", "epoch,loss\n1,nan\n", "epoch,loss\n0,2.5\n", "epoch,loss\n1,2\n2,2\n"]
)
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_nothing_fit_is_an_answer_too(text, ending, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    facts = pick_facts(tmp_path / "log.csv", plot=tmp_path / f"log.{ending}")
    assert not facts["fit"]
    assert pick_lines(facts)
    assert (tmp_path / f"log.{ending}").stat().st_size > 1000
    json.dumps(facts, allow_nan=False)


# The picture


@pytest.mark.parametrize("name", [FIRST, BLOWN])
def test_the_picture_shows_something(name, tmp_path):
    pick_facts(CURVES / f"{name}.csv", plot=tmp_path / "a.PNG")
    picture = imread(tmp_path / "a.PNG", format="png")
    assert min(picture.shape[:2]) > 400
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 50
    inked = (picture[..., :3] < 0.97).any(axis=2)
    assert 0.02 < inked.mean() < 0.9
    for colour in (GOOD, TRAIN, HELD):
        assert (np.abs(picture[..., :3] - to_rgb(colour)) < 0.01).all(axis=2).sum() > 200, "pick and both curves"


def test_the_picture_names_what_it_marks(tmp_path):
    facts = pick_facts(CURVES / f"{BLOWN}.csv", plot=tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    told = (f"Use epoch {facts['epoch']}", f"pick: {facts['epoch']}", f"breaks at {facts['blow_up']}")
    for words in (*told, "plateau", "not trusted", "training", "held out", "loss", "accuracy"):
        assert words in text
    pick_facts(CURVES / f"{BLOWN}.csv", plot=tmp_path / "b.svg")
    assert (tmp_path / "b.svg").read_text() == text


def test_a_picture_that_cannot_be_written_is_told(tmp_path):
    log = as_keras(tmp_path / "log.csv", falling())
    for name, told in (("log.csv/a.png", "cannot be written"), ("a.jpg", "'.jpg' is not known"), ("a", "ending")):
        with pytest.raises(LogError, match=told):
            pick_facts(log, plot=tmp_path / name)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(LogError, match="cannot be written"):
        pick_facts(log, plot=tmp_path / "folder.png")


# The command


def test_the_command_prints_a_verdict_and_needs_no_training_library(tmp_path):
    blocked = "import sys\nsys.modules.update(dict.fromkeys(['tensorflow', 'ray', 'keras', 'music21', 'pandas']))\n"
    log, picture = as_keras(tmp_path / "log.csv", falling()), tmp_path / "log.png"
    arguments = ["farm", "pick", str(log), "--json", "--plot", str(picture)]
    code = f"{blocked}sys.argv = {arguments!r}\nfrom farm.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["epoch"] is not None
    assert picture.exists()


def test_exit_codes(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss\n1,nan\n")
    done = run(tmp_path / "log.csv")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "No epoch is fit to use.")
    done = run(tmp_path / "none.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{tmp_path / 'none.csv'}: there is no such file; check the name\n"
    done = run(tmp_path / "log.csv", "--every", 0)
    assert done.returncode == 2
    assert done.stderr.startswith("--every 0: ")
    assert "Traceback" not in done.stderr


def test_a_folder_is_no_log(tmp_path):
    with pytest.raises(LogError, match="cannot be read"):
        read_table(tmp_path)


def test_the_words_hold_the_numbers_that_matter():
    done = CliRunner().invoke(app, ["pick", str(CURVES / f"{BLOWN}.csv"), "--every", "5"])
    assert done.exit_code == 0
    for words in ("Epoch 20 is the pick.", "confidence", "blow-up      epoch 105", "loss 0.9", "500 in"):
        assert words in done.stdout
