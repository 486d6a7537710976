"""Two tiny styles that start from one base, as a person farms them: killed, changed, compared, carried elsewhere."""

import json
import os
import shutil
import signal
import subprocess
import time

import pyarrow.parquet as pq
import pytest
import yaml
from small_music import tune, write_corpus, write_midi
from test_end_to_end import FARM, RECIPE, catalog_of, edit, farm

UNTIL_30 = {"max_epochs": 30, "patience_epochs": 30}  # its held-out loss levels sooner
TINY = {**RECIPE, "base": UNTIL_30, "from_base": {"learning_rate": 0.01, "max_epochs": 2}}
SMALLER = {**RECIPE, "name": "smaller", "network": {**RECIPE["network"], "layers": [16]}, "base": None}


def run(folder, *arguments):
    command = ["run", "corpora.yaml", "--executor", "local", "--cpus", "2", "--json", *arguments]
    out = json.loads(farm(*command, cwd=folder))
    return out, {style["style"]: style["ran"] for style in out["styles"]}


@pytest.fixture(scope="module")
def based(tmp_path_factory):
    """A farm whose base was killed once in the middle of its training; a tune of one style stands in the other too."""
    folder = tmp_path_factory.mktemp("based")
    write_corpus(folder / "music", {"hills": 8, "valley": 7})
    shutil.copy(folder / "music" / "valley" / "tune-01.mid", folder / "music" / "hills" / "same.mid")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    (folder / "smaller.yaml").write_text(yaml.safe_dump(SMALLER))
    farm("init", "music", cwd=folder)
    assert "base: all" in (folder / "corpora.yaml").read_text()
    edit(folder / "corpora.yaml", lambda data: data.update(recipe="tiny.yaml"))
    licences = {"hills": "CC0-1.0", "valley": "CC-BY-4.0"}

    def license_all(data):
        for style, licence in licences.items():
            data["styles"][style]["sources"][0].update(licence=licence, attribution=f"people of the {style}", url="")

    edit(folder / "corpora.yaml", license_all)
    first = subprocess.Popen([FARM, "run", "--executor", "local", "--cpus", "2"], cwd=folder, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob("artifacts/runs/base/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (metrics,) = folder.glob("artifacts/runs/base/*/metrics.jsonl")
    before = metrics.read_text().splitlines()
    out, ran = run(folder)
    return folder, out, ran, before


def heard_of(folder):
    (table,) = folder.glob("artifacts/runs/base/*/heard.parquet")
    return pq.read_table(table).to_pandas()


def test_a_killed_base_goes_on_and_every_style_starts_from_it(based):
    folder, out, ran, before = based
    assert out["failed"] == []
    assert [base["ran"] for base in out["bases"]] == [True]
    assert all("train" in stages for stages in ran.values())
    (metrics,) = folder.glob("artifacts/runs/base/*/metrics.jsonl")
    lines = {line["epoch"]: line for line in map(json.loads, metrics.read_text().splitlines())}
    assert list(lines) == list(range(1, 31))
    assert len(before) < 30
    digests = set()
    for style in ("hills", "valley"):
        (recipe,) = folder.glob(f"artifacts/runs/{style}/*/recipe.json")
        assert json.loads(recipe.read_text())["from_base"] is True
        own = json.loads((recipe.parent / "metrics.jsonl").read_text().splitlines()[0])
        assert own["val_bits_per_note"] < lines[1]["val_bits_per_note"]
        digests.add(
            json.loads((folder / f"artifacts/ledger/receipts/train/{style}/tiny.json").read_text())["inputs"]["base"]
        )
    assert len(digests) == 1
    verdict = json.loads((metrics.parent / "verdict.json").read_text())
    assert set(verdict["styles"]) == {"hills", "valley"}
    assert f"Epoch {verdict['epoch']} of 30" in verdict["reason"]


def test_what_is_held_out_anywhere_is_heard_nowhere(based):
    folder, *_ = based
    table = heard_of(folder)
    heard = table[table["why_not"].isna()]
    assert not set(heard["family"]) & set(table[table["why_not"] == "held out"]["family"])
    assert heard["content"].is_unique
    double = table[table["content"].duplicated(keep=False)]
    assert set(double["style"]) == {"hills", "valley"}
    assert double["why_not"].notna().any()


def test_a_second_run_does_nothing_and_other_labels_train_nothing(based):
    folder, *_ = based
    out, ran = run(folder)
    assert list(ran.values()) == [[], []]
    assert [base["ran"] for base in out["bases"]] == [False]
    edit(folder / "corpora.yaml", lambda data: data["styles"]["hills"]["sources"][0].update(attribution="hill people"))
    out, ran = run(folder)
    assert ran == {"hills": ["publish"], "valley": ["publish"]}
    assert [base["why"] for base in out["bases"]] == ["all that it heard is still allowed"]


def test_the_base_enters_lineage_licence_attributions_and_page(based):
    folder, *_ = based
    farm_models(folder)
    for model in catalog_of(folder)["models"]:
        base = model["lineage"]["base"]
        assert len(base["sha256"]) == 64
        assert {source["style"] for source in base["sources"]} == {"hills", "valley"}
        assert set(model["licence"].split(" AND ")) == {"CC0-1.0", "CC-BY-4.0"}
        others = [source for source in model["corpus"]["sources"] if source.get("from") == "base"]
        assert [source["style"] for source in others] == [{"hills": "valley", "valley": "hills"}[model["style"]]]
        page = (folder / "artifacts" / "site" / "styles" / f"{model['style']}.html").read_text()
        assert others[0]["attribution"] in page
        assert "heard by the base" in page
    farm("approve", "hills", "--why", "lively", cwd=folder)
    farm("ship", "pack", "--styles", "hills", cwd=folder)
    licences = (folder / "pack" / "LICENCES.md").read_text()
    assert "people of the valley" in licences
    assert "heard by the base" in licences


def farm_models(folder):
    """See that both styles have a model: what no rule picks after two epochs is picked by hand."""
    for style in ("hills", "valley"):
        farm("approve", style, "--epoch", "2", "--why", "for the test", cwd=folder)


def test_more_music_in_one_style_trains_that_style_only(based):
    folder, *_ = based
    write_midi(folder / "music" / "valley" / "new.mid", tune(555, bars=10))  # not the longest: the split stays
    out, ran = run(folder)
    assert ran["hills"] == []
    assert ran["valley"][:2] == ["read", "baseline"]
    assert "train" in ran["valley"]
    assert [(base["ran"], base["trained"]) for base in out["bases"]] == [(True, False)]


def test_two_recipes_stand_side_by_side_and_coming_back_trains_nothing(based):
    folder, *_ = based
    _, ran = run(folder, "--styles", "hills", "--recipe", "tiny.yaml", "--recipe", "smaller.yaml")
    assert ran == {"hills": ["train smaller", "judge smaller", "publish"]}
    farm("approve", "hills", "--epoch", "2", "--why", "for the test", cwd=folder)
    _, ran = run(folder, "--styles", "hills")
    assert ran == {"hills": ["publish"]}
    catalog = catalog_of(folder)
    rows = next(model for model in catalog["models"] if model["style"] == "hills").get("recipes", [])
    assert all(set(row) >= {"recipe", "bytes", "val_bits_per_note", "chosen", "why", "seconds"} for row in rows)


def test_another_farm_starts_from_the_base_file(based, tmp_path):
    folder, *_ = based
    told = json.loads(farm("status", "--json", cwd=folder))
    (base,) = told["bases"]
    shutil.copy(folder / base["file"], tmp_path / "theirs.base.safetensors")
    shutil.copy(folder / "tiny.yaml", tmp_path)
    shutil.copy(folder / "smaller.yaml", tmp_path)
    for seed in range(6):
        write_midi(tmp_path / "own" / f"{seed}.mid", tune(7000 + seed))
    source = {"folder": "own", "licence": "CC0-1.0"}
    config = {
        "farm": 1,
        "recipe": "tiny.yaml",
        "base": "theirs.base.safetensors",
        "styles": {"own": {"sources": [source]}},
    }
    (tmp_path / "corpora.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    out, ran = run(tmp_path)
    assert (out["failed"], out["bases"]) == ([], [])
    assert ran["own"] == ["read", "baseline", "train", "judge", "publish"]
    farm("approve", "own", "--epoch", "2", "--why", "for the test", cwd=tmp_path)
    (model,) = catalog_of(tmp_path)["models"]
    assert model["licence"] == "CC0-1.0 AND CC-BY-4.0"
    assert model["lineage"]["base"]["run"] == base["run"]
    other = {**TINY, "network": {**TINY["network"], "layers": [32]}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(other))
    message = farm("run", cwd=tmp_path, code=2)
    assert message.startswith("corpora.yaml:3: base: ")
    assert "give the recipe the same network section" in message
