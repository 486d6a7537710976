"""How a run goes on and ends: kills at every write, blow-ups and their one retry, patience, and bad input."""

import contextlib
import json
import math
from pathlib import Path

import pytest

from farm import layout
from farm.composing.player import architecture
from farm.config import Selection
from farm.errors import StorageError, StyleError
from farm.selection.verdict import judge
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loop import fit
from farm.training.shelf import kept as kept_epochs
from farm.training.stopping import stop_reason
from tests.small_runs import (
    PLAIN,
    RATE,
    FakeTrainee,
    Killed,
    MortalStorage,
    lines_of,
    piece,
    recipe_of,
    train_small,
)


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr("farm.training.trainee.Trainee", FakeTrainee)
    monkeypatch.setattr(FakeTrainee, "losses", {})
    monkeypatch.setattr("farm.training.record._STATE_SHARE", 1e9)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # thousands of writes; no power fails here
    return FakeTrainee


def shape_of(recipe):
    network = recipe.network
    return architecture(embedding=network.embedding, layers=network.layers, head=network.head)


SLOW = {
    epoch: (4.5 - 0.1 * epoch if epoch <= 12 else 3.3 + 0.045 * (epoch - 12), 4.5 - 0.1 * epoch)
    for epoch in range(1, 41)
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("losses", "max_epochs", "writes", "stride"),
    [({}, 5, 24, 1), ({3: (math.nan, 1.0)}, 5, 26, 1), ({4: (9.0, 8.0)}, 6, 20, 1), (SLOW, 28, 200, 7)],
    ids=["quiet", "retry", "second blow-up", "slow divergence"],
)
def test_a_run_killed_at_any_write_ends_like_one_that_was_not(
    fake, tmp_path, losses, max_epochs, writes, stride, after
):
    fake.losses = losses
    recipe = recipe_of(max_epochs=max_epochs, patience_epochs=1000)
    undisturbed, result = train_small(tmp_path / "whole", recipe)
    kept = snapshots.epochs(undisturbed, "tunes", "one")
    for lives in range(0, writes, stride):
        root = tmp_path / str(lives)
        try:
            train_small(MortalStorage(root, lives, after=after), recipe)
        except Killed:
            killed, again = train_small(root, recipe)
        else:
            break
        assert (lines_of(killed), {**again, "seconds": 0}) == (lines_of(undisturbed), {**result, "seconds": 0})
        assert snapshots.epochs(killed, "tunes", "one") == kept
        for epoch in kept:
            key = layout.snapshot("tunes", "one", epoch)
            assert killed.read_bytes(key) == undisturbed.read_bytes(key)
    else:
        pytest.fail("the run has more writes than were tried")
    assert lives > 2 * max_epochs


def test_the_snapshots_on_disk_are_those_of_the_shelf(fake, tmp_path):
    storage, _ = train_small(tmp_path, recipe_of(max_epochs=60, patience_epochs=1000))
    found = snapshots.epochs(storage, "tunes", "one")
    assert found == kept_epochs(lines_of(storage))
    assert len(found) == 40


def test_a_finished_run_is_not_trained_again(fake, tmp_path):
    storage, first = train_small(tmp_path, recipe_of())
    metrics = storage.read_bytes(layout.metrics("tunes", "one"))
    _, second = train_small(tmp_path, recipe_of())
    assert storage.read_bytes(layout.metrics("tunes", "one")) == metrics
    assert second == first


def test_a_blow_up_is_tried_again_once_from_before_it_and_said(fake, tmp_path):
    fake.losses = {3: (math.nan, 1.0)}
    storage, result = train_small(tmp_path, recipe_of(max_epochs=5))
    written = storage.read_lines(layout.metrics("tunes", "one"))
    assert [line["epoch"] for line in written] == [1, 2, 3, 3, 4, 5]
    assert written[2]["loss"] is None
    assert [line["broke_at"] for line in lines_of(storage)] == [None, None, 3, 3, 3]
    assert written[-1]["learning_rate"] == pytest.approx(RATE / 3, rel=1e-3)
    assert (result["retries"], result["broke_at"], result["stopped"]) == (1, 3, "max_epochs")
    assert "NaN" not in storage.read_bytes(layout.metrics("tunes", "one")).decode()
    verdict = judge(written, [], None, Selection(replicas=1), "tunes")
    assert "retried@3" in verdict["flags"]
    assert "The loss broke at epoch 3; training went on from epoch 2 at a third of" in verdict["reason"]


def test_a_second_blow_up_ends_the_run_and_the_metrics_tell(fake, tmp_path):
    fake.losses = {4: (9.0, 8.0)}
    storage, result = train_small(tmp_path, recipe_of(max_epochs=6))
    assert (result["stopped"], result["epochs"], result["broke_at"]) == ("blow-up", 3, 4)
    assert lines_of(storage)[-1]["loss"] == 8.0
    assert snapshots.epochs(storage, "tunes", "one") == [1, 2, 3]
    _, again = train_small(tmp_path, recipe_of(max_epochs=6))
    assert again == result


def test_a_slow_divergence_is_tried_again_from_its_last_good_snapshot(fake, tmp_path):
    fake.losses = SLOW
    storage, result = train_small(tmp_path, recipe_of(max_epochs=28, patience_epochs=1000))
    assert (result["stopped"], result["epochs"], result["broke_at"]) == ("max_epochs", 28, 14)
    lines = lines_of(storage)
    went_on = next(line["epoch"] for line in lines if line["broke_at"]) - 1
    assert 9 <= went_on <= 12, "the loss rises from epoch 13 on"
    assert [line["loss"] for line in lines] == pytest.approx([4.5 - 0.1 * epoch for epoch in range(1, 29)])
    assert len(storage.read_lines(layout.metrics("tunes", "one"))) == 28, "nothing of the lost epochs is left"
    assert set(range(went_on - 2, went_on + 1)) <= set(snapshots.epochs(storage, "tunes", "one"))


def test_a_blow_up_after_the_plateau_ends_the_run_with_what_it_has(fake, tmp_path):
    fake.losses = {epoch: (0.2 + 4 * math.exp(-epoch / 3),) for epoch in range(1, 30)} | {30: (math.nan,)}
    storage, result = train_small(tmp_path, recipe_of(max_epochs=90, patience_epochs=1000))
    assert (result["stopped"], result["epochs"], result["retries"]) == ("blow-up", 29, 0)
    found = judge(storage.read_lines(layout.metrics("tunes", "one")), [], None, Selection(replicas=1), "tunes")
    assert (found["verdict"], found["blow_up"]) == ("healthy-then-nan", 30)
    assert found["epoch"] in snapshots.epochs(storage, "tunes", "one")


def test_training_that_breaks_at_once_says_so(fake, tmp_path):
    fake.losses = {1: [math.nan, math.inf]}
    with pytest.raises(StyleError, match=r"tunes: the loss broke at epoch 1 .* lower training\.learning_rate"):
        train_small(tmp_path, recipe_of())


@pytest.mark.parametrize(("of_style_from", "ends"), [(0, 12), (18, 20), (999, 60)])
def test_a_run_from_a_base_goes_on_until_what_it_composes_is_of_the_style(fake, tmp_path, of_style_from, ends):
    fake.losses = {epoch: (0.2 + 4 * math.exp(-epoch / 3),) for epoch in range(1, 99)}
    asked = []

    def is_of_style(weights):
        asked.append(round(float(weights["input.bias"][0])))
        return asked[-1] >= of_style_from

    recipe = recipe_of(max_epochs=99, patience_epochs=3)
    start = fake({**shape_of(recipe)}, PLAIN, recipe, [], [], seed=3, weights=None).average()
    more = {"start_from": start, "is_of_style": is_of_style}
    storage, result = train_small(tmp_path / "whole", recipe, **more)
    assert (result["stopped"], result["epochs"]) == ("levelled", ends)
    assert all(epoch % 4 == 0 for epoch in asked), "composing takes longer than an epoch of a small style"
    with contextlib.suppress(Killed):
        train_small(MortalStorage(tmp_path / "killed", 35), recipe, **more)
    killed, again = train_small(tmp_path / "killed", recipe, **more)
    assert (lines_of(killed), again["epochs"]) == (lines_of(storage), ends)
    _, result = train_small(tmp_path / "limit", recipe_of(max_epochs=17, patience_epochs=3), **more)
    assert (result["stopped"], result["epochs"]) == ("levelled", 12) if ends == 12 else ("max_epochs", 17)


def test_a_run_ends_by_the_rule_that_judges_it_or_by_a_limit(fake, tmp_path):
    fake.losses = {epoch: (0.2 + 4 * math.exp(-epoch / 3),) for epoch in range(1, 99)}
    storage, settled = train_small(tmp_path, recipe_of(max_epochs=99, patience_epochs=4))
    assert settled["stopped"] == "flat"
    assert 13 <= settled["epochs"] <= 30
    found = judge(storage.read_lines(layout.metrics("tunes", "one")), [], None, Selection(replicas=1), "tunes")
    assert found["verdict"] == "healthy"
    lines = [{"epoch": 1, "seconds": 50.0, "loss": 3.0}, {"epoch": 2, "seconds": 20.0, "loss": 2.0}]
    assert stop_reason(lines, recipe_of(max_minutes=1)) == "max_minutes"
    assert stop_reason(lines[:1], recipe_of(max_minutes=1)) is None
    assert stop_reason(lines[:1], recipe_of(max_epochs=1)) == "max_epochs"


def test_progress_is_reported_after_every_epoch(fake, tmp_path):
    told = []
    train_small(tmp_path, recipe_of(), report=told.append)
    assert [facts["epoch"] for facts in told] == [1, 2, 3, 4]
    assert all({"epoch", "max_epochs", "loss", "val_bits_per_note", "seconds_left"} == set(facts) for facts in told)
    assert told[-1]["seconds_left"] == 0
    json.dumps(told)


def test_without_heldout_pieces_the_reference_is_weak(fake, tmp_path):
    _, result = train_small(tmp_path, recipe_of(), heldout=[])
    assert result["weak_reference"]


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ([], "tunes: only 0 notes to train on, at least 32 are needed; add more music"),
        ([(1, 3)], "tunes: only .* notes to train on, at least 32 are needed"),
        ([(number, 2) for number in range(12)], "none to judge by: no piece is held out, .* add longer pieces"),
    ],
)
def test_too_little_music_is_refused(fake, tmp_path, train, told):
    pieces = [piece(*which)[:20] for which in train]
    with pytest.raises(StyleError, match=told):
        fit(Storage(tmp_path), "tunes", "x", train=pieces, heldout=[], encoding=PLAIN, recipe=recipe_of(), seed=1)


def test_lost_metrics_are_told_and_not_guessed(fake, tmp_path):
    storage, _ = train_small(tmp_path, recipe_of())
    storage.delete(layout.metrics("tunes", "one"))
    with pytest.raises(StorageError, match=r"metrics\.jsonl: lines up to epoch 4 are missing"):
        train_small(tmp_path, recipe_of())


def test_a_style_is_trained_alone_from_its_tables(fake, tmp_path, capsys, monkeypatch):
    from farm.training import __main__ as alone

    monkeypatch.setattr(alone, "choose_encoding", lambda storage, style: (PLAIN, {}))
    monkeypatch.setattr(alone, "split_events", lambda storage, style, encoding: ([piece(1), piece(2)], [piece(3)]))
    recipe = tmp_path / "three.yaml"
    recipe.write_text("recipe: 1\nname: three\ntraining: {max_epochs: 3}\n")
    asked = ["tunes", "--artifacts", str(tmp_path), "--recipe", str(recipe), "--run", "mine"]
    assert alone.main(asked) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told[:3]] == [f"epoch {epoch} of 3" for epoch in (1, 2, 3)]
    assert all(", 9 notes/s," in line for line in told[:3])
    assert told[3].startswith("max_epochs after 3 epochs")
    assert Path(told[4]) == tmp_path / "runs" / "tunes" / "mine"
    assert snapshots.epochs(Storage(tmp_path), "tunes", "mine") == [1, 2, 3]
    assert alone.main([*asked[:-4], "--recipe", "nothing"]) == 2
    assert "recipe 'nothing' does not exist; name a file" in capsys.readouterr().err
