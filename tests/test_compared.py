"""A new model against the one that ships: how it stands, the gate for a worse one, and what was shipped."""

import pytest

from farm import layout
from farm.catalog.compared import NOISE_BITS, compared
from farm.catalog.pack import ship
from farm.catalog.publish import current, decide, known_models, publish
from farm.errors import FarmError
from farm.scheduling.publishing import record_shipped
from farm.storage import Storage
from tests.small_catalog import entry, model_of


def changed(seed=1, fit=True, **quality):
    made = entry(seed=seed, fit=fit)
    return {**made, "quality": {**made["quality"], **quality}}


def shelf(tmp_path):
    """A farm whose style bach has an approved version 1."""
    storage = Storage(tmp_path / "artifacts")
    publish(storage, [entry()], [])
    decide(storage, "bach", "approved", "good")
    return storage


@pytest.mark.parametrize(
    ("now", "then_bits", "outcome", "told"),
    [
        (changed(val_bits_per_note=4.4), 4.5, "better", "4.400 bits a note against 4.500"),
        (changed(val_bits_per_note=4.6), 4.5, "worse", "4.600 bits a note against 4.500"),
        (changed(val_bits_per_note=4.5 + NOISE_BITS), 4.5, "same", "As good as version 1"),
        (changed(val_bits_per_note=4.5), None, "not comparable", "do not compare"),
        (changed(val_bits_per_note=4.0, repetition=0.3), 4.5, "worse", "repeats itself more, 30% of the notes"),
        (changed(val_bits_per_note=4.0, repetition=0.119, repetition_human=[0.12, 0.3]), 4.5, "better", "Better"),
        (changed(val_bits_per_note=4.5, copied=0.2), None, "worse", "it copies more, 20%"),
        (changed(val_bits_per_note=4.0, fit=False), 4.5, "worse", "its verdict is"),
    ],
)
def test_how_a_model_stands(tmp_path, now, then_bits, outcome, told):
    then = model_of(shelf(tmp_path))
    stands = compared(now, then, then_bits)
    assert stands["outcome"] == outcome, stands
    assert told in stands["why"]
    assert stands["version"] == 1
    assert stands["sha256"] == then["files"][0]["sha256"]
    assert stands["comparable"] is (then_bits is not None)
    if then_bits is not None:
        assert stands["delta_bits"] == pytest.approx(now["quality"]["val_bits_per_note"] - then_bits)
    assert stands["delta_copied"] == pytest.approx(now["quality"]["copied"] - 0.05)


def test_another_split_is_told():
    then = {**entry(), "version": 3, "files": [{"sha256": "ab"}]}
    now = {**changed(), "lineage": {**entry()["lineage"], "split_sha256": "ef" * 32}}
    assert "may have learnt from" in compared(now, then, 4.5)["why"]
    assert "may have learnt from" not in compared(changed(), then, 4.5)["why"]


def test_a_worse_model_passes_only_with_a_written_reason(tmp_path):
    storage = shelf(tmp_path)
    worse = changed(val_bits_per_note=4.7)
    publish(storage, [{**worse, "compared": compared(worse, model_of(storage), 4.5)}], [])
    for although in ("", "  "):
        with pytest.raises(FarmError, match=r"bach: Worse than version 1.*4\.700.*Version 1 goes on.*--although"):
            decide(storage, "bach", "approved", "sounds fine", although=although)
    assert ship(storage, tmp_path / "pack")["models"][0]["version"] == 1
    decide(storage, "bach", "rejected", "no need for a reason beside this one")
    decision = decide(storage, "bach", "approved", "sounds fine", although=" rights of version 1 ran out ")
    assert decision["although"] == "rights of version 1 ran out"
    assert model_of(storage)["decisions"][-1] == decision
    assert ship(storage, tmp_path / "pack")["models"][0]["version"] == 2
    assert "Worse than version 1" in (tmp_path / "pack" / "cards" / "bach.md").read_text()


def test_a_better_model_needs_no_second_reason(tmp_path):
    storage = shelf(tmp_path)
    better = changed(val_bits_per_note=4.3)
    publish(storage, [{**better, "compared": compared(better, model_of(storage), 4.5)}], [])
    assert "although" not in decide(storage, "bach", "approved", "livelier")


def test_what_a_pack_holds_is_recorded_once(tmp_path):
    storage = shelf(tmp_path)
    publish(storage, [entry(seed=1)], [])  # a newer candidate waits: version 1 ships
    publish(storage, [entry("folk", seed=2)], [])
    for _ in range(2):
        record_shipped(storage, ship(storage, tmp_path / "first"))
    lines = [line for line in storage.read_lines(layout.DECISIONS) if line["status"] == "shipped"]
    assert [(line["style"], line["version"], line["why"]) for line in lines] == [("bach", 1, "in the pack first")]
    assert [(model["version"], model["status"]) for model in known_models(storage, "bach")] == [
        (2, "candidate"),
        (1, "shipped"),
    ]
    assert model_of(storage, "folk")["status"] == "candidate"
    number = current(storage)["number"]
    record_shipped(storage, ship(storage, tmp_path / "first"))
    assert current(storage)["number"] == number, "nothing new to say"
    with pytest.raises(FarmError, match="'shipped' is no decision"):
        decide(storage, "bach", "shipped", "by hand")


def test_a_farm_that_runs_does_not_keep_a_pack_from_being_recorded(tmp_path):
    from farm.scheduling import ledger

    storage = shelf(tmp_path)
    with ledger.owned(Storage(storage.root)):
        record_shipped(storage, ship(storage, tmp_path / "pack"))
    assert model_of(storage)["status"] == "shipped"
