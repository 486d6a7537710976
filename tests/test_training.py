"""A real training: what it writes, that it repeats itself, and after a kill too."""

import math

import numpy as np
import pytest

from farm import layout
from farm.composing.scoring import bits_per_note
from farm.config import Network
from farm.errors import StyleError
from farm.music.batches import Batch
from farm.music.encoding import N_COLUMNS, Encoding
from farm.training import snapshots
from farm.training.shape import n_weights, network_shape
from tests.small_runs import HELDOUT, PLAIN, RATE, Killed, MortalStorage, lines_of, recipe_of, train_small

CONTRACT = {
    *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "bits_per_note", "val_bits_per_note"),
    *("grad_norm", "learning_rate", "seconds", "notes_per_second"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_small(tmp_path_factory.mktemp("trained"), recipe_of())


def test_training_learns_and_writes_what_the_contract_names(trained):
    storage, result = trained
    lines = storage.read_lines(layout.metrics("tunes", "one"))
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert all(set(line) >= CONTRACT for line in lines)
    assert lines[-1]["val_bits_per_note"] < lines[0]["val_bits_per_note"] - 0.5
    assert lines[-1]["val_bits_per_note"] == pytest.approx(lines[-1]["val_loss"] / math.log(2), abs=1e-5)
    assert snapshots.epochs(storage, "tunes", "one") == [1, 2, 3, 4]
    assert result["stopped"] == "max_epochs"
    assert result["best_epoch"] == 4
    assert not result["weak_reference"]
    about = storage.read_json(layout.run_recipe("tunes", "one"))
    assert about["recipe"]["training"]["window_notes"] == 16
    assert about["seed"] == 3
    assert about["kernel"] == result["kernel"]


def test_the_snapshot_plays_at_the_bits_that_training_reported(trained):
    storage, _ = trained
    assert max(map(len, HELDOUT)) < 4 * 16 + 2, "one held-out window takes a whole piece"
    events = [told[:, :N_COLUMNS] for told in HELDOUT]
    played = bits_per_note(snapshots.player(storage, "tunes", "one", 4), PLAIN, events)
    reported = lines_of(storage)[-1]["val_bits_per_note"]
    assert played == pytest.approx(reported, abs=0.02), "bfloat16 products may differ a little"


def test_the_same_seed_gives_the_same_run_after_a_kill_too(trained, tmp_path):
    def interrupt(facts):
        if facts["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path, recipe_of(), report=interrupt)
    storage, result = train_small(tmp_path, recipe_of())
    whole_run, _ = trained
    assert lines_of(storage) == lines_of(whole_run)
    assert result["epochs"] == 4
    for epoch in (3, 4):
        key = layout.snapshot("tunes", "one", epoch)
        assert storage.read_bytes(key) == whole_run.read_bytes(key)


def test_a_network_comes_out_the_same_after_a_kill_around_its_retry(monkeypatch, tmp_path):
    from farm.training.trainee import Trainee

    class Breaking(Trainee):
        def begin(self, learning_rate, state):
            self.is_first_try = learning_rate > RATE / 2
            super().begin(learning_rate, state)

        def train_epoch(self, epoch):
            found = super().train_epoch(epoch)
            return {**found, "loss": math.nan} if epoch == 3 and self.is_first_try else found

    monkeypatch.setattr("farm.training.trainee.Trainee", Breaking)
    monkeypatch.setattr("farm.training.record._STATE_SHARE", 1e9)
    recipe = recipe_of(epoch_notes=100)
    whole_run, result = train_small(tmp_path / "whole", recipe)
    assert (result["epochs"], result["broke_at"]) == (4, 3)
    with pytest.raises(Killed):  # after the snapshot of the retry, before its line
        train_small(MortalStorage(tmp_path / "killed", 9), recipe)
    killed, _ = train_small(tmp_path / "killed", recipe)
    assert lines_of(killed) == lines_of(whole_run)
    key = layout.snapshot("tunes", "one", 4)
    assert killed.read_bytes(key) == whole_run.read_bytes(key)


def test_an_epoch_ends_at_the_first_batch_that_is_no_number(tmp_path):
    steps = []

    def step(*batch, return_dict):
        steps.append(batch)
        return {"loss": math.nan if len(steps) == 2 else 1.0, "accuracy": 0.5}

    from farm.training.trainee import _per_note

    weights = np.ones((1, 4, 3), np.float32)
    found, _ = _per_note(step, iter([Batch(weights, weights, weights)] * 5))
    assert math.isnan(found["loss"])
    assert len(steps) == 2


def test_a_run_starts_from_given_weights(trained, tmp_path):
    storage, _ = trained
    _, _, weights = snapshots.load(storage, "tunes", "one", 4)
    started, _ = train_small(tmp_path, recipe_of(max_epochs=1), start_from=weights)
    assert lines_of(started)[0]["val_bits_per_note"] < lines_of(storage)[2]["val_bits_per_note"]
    with pytest.raises(StyleError, match="tunes: the base is another network"):
        train_small(tmp_path, recipe_of(), run="two", start_from={"input.bias": np.zeros(8)})


def test_models_of_music_with_loudness_are_no_larger():

    for network in (Network(), Network(embedding=64, layers=[128, 128], head=96), Network(layers=[512], head=384)):
        plain, loud = (network_shape(network, Encoding(has_velocity=loud)) for loud in (False, True))
        least, most = n_weights(loud, Encoding(has_velocity=True)), n_weights(plain, Encoding())
        assert plain["head"] == network.head
        assert 0.99 * most < least <= most
    assert network_shape(Network(layers=[8], head=8), Encoding(has_velocity=True))["head"] == 8, "no narrower than this"
