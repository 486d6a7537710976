"""The judge stage on a small run: what composes again, what is only judged again, and how quickly."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from farm import layout
from farm.config import Recipe, Samples, digest
from farm.corpus.batching import make_batches
from farm.corpus.clean import clean_style
from farm.corpus.reading_batches import read_batch
from farm.corpus.sandbox import Sandbox
from farm.corpus.sources import list_files
from farm.farm_config import Source, Style
from farm.scheduling import judging, samples, style_check, work
from farm.scheduling.work import Work
from farm.selection.surprise import StyleNgram
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import choose_encoding, load_music, split_events
from farm.training.loop import fit
from tests.small_music import write_corpus
from tests.small_runs import FakeTrainee

RECIPE: dict[str, Any] = {
    "network": {"embedding": 8, "layers": [8], "head": 8},
    "training": {"window_notes": 16, "batch_windows": 2, "max_epochs": 4, "learning_rate": 0.03},
    "samples": {"count": 2, "notes": 16},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The artifacts of a style that was read and trained by a stand-in for a network."""
    root = tmp_path_factory.mktemp("judging")
    write_corpus(root / "music", {"hills": 8}, bars=6)
    source = Source(folder=str(root / "music"))
    files = list_files(source, root)
    storage = Storage(root / "artifacts")
    settings = Style(sources=[source])
    sandbox = Sandbox()
    for batch in make_batches(files, settings.filters):
        read_batch(batch, storage, sandbox)
    sandbox.close()
    clean_style("hills", files, storage, filters=settings.filters, heldout_share=0.2, seed=3)
    recipe = Recipe.model_validate(RECIPE)
    encoding, _ = choose_encoding(storage, "hills", None)
    heard, heldout = split_events(storage, "hills", encoding)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("farm.training.trainee.Trainee", FakeTrainee)
        fit(storage, "hills", "one", train=heard, heldout=heldout, encoding=encoding, recipe=recipe, seed=3)
    return SimpleNamespace(root=str(root / "artifacts"), storage=storage, settings=settings)


@pytest.fixture
def judge(folder, monkeypatch):
    """Return what judges the run by a recipe and tells how many snapshots composed, and the verdict."""
    composed = []
    compose = samples.compose_samples
    monkeypatch.setattr(samples, "compose_samples", lambda *a, **k: composed.append(a[3]) or compose(*a, **k))

    def judged(**changed):
        composed.clear()
        asked = Work("hills", folder.settings, Recipe.model_validate({**RECIPE, **changed}), 3, folder.root)
        receipts = {"train": {"result": {"run": "one"}}, "baseline": {"result": {"bits_per_note": 5.0}}}
        result = judging.judge(asked, receipts)
        verdict = folder.storage.read_json(layout.verdict("hills", "one"))
        assert result["digest"] == digest({k: v for k, v in verdict.items() if k != "heard_as"})
        return len(composed), verdict

    return judged


def test_only_what_changes_the_samples_composes_again(folder, judge, monkeypatch):
    n = len(snapshots.epochs(folder.storage, "hills", "one"))
    assert n == 4
    composed, first = judge()
    assert composed == n
    assert judge() == (0, first)
    begun = time.process_time()
    composed, other = judge(selection={"plateau_share": 0.5, "copy_floor_notes": 3})
    seconds = time.process_time() - begun
    assert composed == 0
    assert other["rule"]["plateau_share"] == 0.5
    assert seconds < 2
    print(f"judged again in {1000 * seconds:.0f} ms")
    monkeypatch.setattr(judging, "load_music", None)  # a changed rule needs neither the music nor the index of it
    monkeypatch.setitem(work.CODE_VERSIONS, "judge", 999)
    assert judge() == (0, first)


def test_another_way_to_measure_measures_the_same_notes_again_and_composes_nothing(folder, judge, monkeypatch):
    first = judge()[1]
    measured = []
    measure = samples.snapshot_measures
    monkeypatch.setattr(samples, "snapshot_measures", lambda *a: measured.append(measure(*a)) or measured[-1])
    monkeypatch.setitem(work.CODE_VERSIONS, "measures", 999)
    composed, again = judge()
    assert (composed, len(measured)) == (0, 4)
    assert {**again, "heard_as": ""} == {**first, "heard_as": ""}
    assert measured[0]["greedy_distinct4"] == first["candidates"][0]["greedy_distinct4"]
    assert judge() == (0, again)
    assert len(measured) == 4


def test_other_samples_another_version_other_weights_or_lost_samples_compose(folder, judge, monkeypatch):
    first = judge()[1]
    assert judge(samples={"count": 1, "notes": 16})[0] == 4
    assert judge() == (4, first)
    monkeypatch.setitem(work.CODE_VERSIONS, "samples", 999)
    assert judge()[0] == 4
    monkeypatch.setitem(work.CODE_VERSIONS, "samples", 1000)
    assert judge()[0] == 4
    folder.storage.delete(layout.sample_notes("hills", "one", 2))
    assert judge()[0] == 1
    architecture, encoding, weights = snapshots.load(folder.storage, "hills", "one", 3)
    weights = {name: array + 0.01 for name, array in weights.items()}
    snapshots.save(folder.storage, "hills", "one", 3, weights=weights, architecture=architecture, encoding=encoding)
    assert judge()[0] == 1


def test_what_is_strange_to_a_style_is_told_by_what_was_held_out_of_it(folder, judge):
    recipe = Recipe.model_validate(RECIPE)
    music = load_music(folder.storage, "hills")
    whole = replace(music, pieces=music.pieces.assign(split="train"))
    one = replace(whole, pieces=whole.pieces[:1])
    assert len(music.ids("heldout")) == 2
    level, of_ends = (judging.ngram_of(some, recipe).of_people(16) for some in (music, whole))
    assert level is not None
    assert of_ends is not None
    assert level[0] < level[1] < 40
    assert of_ends != level
    assert judging.ngram_of(one, recipe).of_people(16) is None, "the end of a piece is too much like its beginning"
    verdict = judge()[1]
    assert verdict["human"]["ngram_bits"] == level
    assert all(row["ngram_bits"] > 0 for row in verdict["candidates"])


def test_a_run_from_a_base_is_of_its_style_when_its_samples_cost_no_more_than_people(folder, monkeypatch):
    asked = Work("hills", folder.settings, Recipe.model_validate(RECIPE), 3, folder.root)
    _, encoding, weights = snapshots.load(folder.storage, "hills", "one", 4)
    music = load_music(folder.storage, "hills", encoding)
    bits = (judging.ngram_of(music, asked.recipe).of_people(Samples().notes) or [0.0])[0]
    for cost, answer in ((bits + 0.1, False), (bits - 0.1, True), (None, False)):
        monkeypatch.setattr(style_check, "bits_of", lambda drawn, music, ngram, cost=cost: [cost])
        assert style_check.style_check(folder.storage, asked, encoding)(weights) is answer
    monkeypatch.setattr(StyleNgram, "of_people", lambda ngram, length: None)
    assert style_check.style_check(folder.storage, asked, encoding)(weights), "nobody can tell"


def test_what_the_judge_asks_for_does_not_change_a_training(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(style_check, "compose", lambda *args, **wish: asked.append(wish) or [])
    monkeypatch.setattr(style_check, "bits_of", lambda drawn, music, ngram: [1.0])
    _, encoding, weights = snapshots.load(folder.storage, "hills", "one", 4)
    for samples_asked in ({}, {"count": 1, "notes": 16, "temperature": 0.5}):
        recipe = Recipe.model_validate({**RECIPE, "samples": samples_asked})
        style_check.style_check(folder.storage, Work("hills", folder.settings, recipe, 3, folder.root), encoding)(
            weights
        )
    assert asked[0] == asked[1]


def test_of_much_music_an_n_gram_learns_pieces_from_all_over(folder):
    music = load_music(folder.storage, "hills")
    whole, asked = music.learnt_and_asked()
    some, _ = music.learnt_and_asked(sum(map(len, whole)) // 2)
    assert [events.tolist() for events in some] == [events.tolist() for events in whole[::2]]
    assert len(asked) == 2
