"""What the review does for its pages: decisions bound to what was seen, pieces, other trainings, what happens now."""

import base64
import time

import pytest

from farm import layout
from farm.catalog.composer import Wish
from farm.config_file import load_farm
from farm.errors import BusyError, ChangedError, FarmError
from farm.piece import compose_pieces
from farm.planning import plan_facts
from farm.reviewing import Reviewing
from farm.scheduling import ledger, retraining
from farm.scheduling.publishing import current_catalog, decide
from farm.storage import Storage
from farm.website.review import pages
from farm.website.review.wishes import Decision, Piece, Retraining, read_wish
from tests.finished_farm import copied_farm, run_small

DECISION = {"style": "hill", "status": "approved", "why": "good"}


@pytest.fixture
def storage(tmp_path):
    return copied_farm(tmp_path)


def model_of(storage, style):
    return next((one for one in current_catalog(storage)["models"] if one["style"] == style), None)


def seen_by(storage, style):
    """Return what a style's page says that it shows."""
    key = f"site/styles/{style}.html"
    page = pages.with_controls(storage, key, storage.read_bytes(key)).decode()
    return page.partition(' data-seen="')[2].partition('"')[0]


def test_a_decision_is_the_shells_and_is_bound_to_the_bytes_that_were_seen(storage):
    seen = seen_by(storage, "hill")
    assert seen == model_of(storage, "hill")["files"][0]["sha256"]
    told = Reviewing(storage).decide(Decision(**DECISION, seen=seen))["told"]
    assert told.startswith("hill: version 1, epoch 3, approved")
    decide(storage, "hill", "approved", "another", epoch=4)
    lines = storage.read_lines(layout.DECISIONS)
    for status in ("approved", "rejected"):
        with pytest.raises(ChangedError, match=r"not what the page showed; nothing was recorded"):
            Reviewing(storage).decide(Decision(**{**DECISION, "status": status}, seen=seen))
    with pytest.raises(ChangedError):
        Reviewing(storage).decide(Decision(**DECISION, epoch=2, seen=seen))
    assert storage.read_lines(layout.DECISIONS) == lines
    assert model_of(storage, "hill")["version"] == 2


def test_a_page_that_is_older_than_the_catalog_shows_nothing_to_decide_about(storage):
    key = "site/styles/hill.html"
    old = storage.read_bytes(key)
    decide(storage, "hill", "approved", "another", epoch=4)
    storage.write_bytes(key, old)
    assert seen_by(storage, "hill") == ""


def test_overruling_there_and_back_publishes_what_was_asked(storage):
    for epoch in (4, 2, 3):
        Reviewing(storage).decide(Decision(**DECISION, epoch=epoch, seen=seen_by(storage, "hill")))
        assert model_of(storage, "hill")["lineage"]["epoch"] == epoch
        assert model_of(storage, "hill")["status"] == "approved"


def test_a_style_of_which_nothing_is_fit_can_be_overruled_from_its_page(storage):
    facts = Reviewing(storage).style("valley")
    assert facts["model"] is None
    assert [one["epoch"] for one in facts["epochs"]] == [1, 2, 3, 4]
    assert ["comes nearest" in one["marks"] for one in facts["epochs"]].count(True) == 1
    assert facts["seen"] == seen_by(storage, "valley") != ""
    with pytest.raises(ChangedError):
        Reviewing(storage).decide(Decision(**{**DECISION, "style": "valley"}, epoch=2, seen="another-run"))
    Reviewing(storage).decide(Decision(**{**DECISION, "style": "valley"}, epoch=2, seen=facts["seen"]))
    assert model_of(storage, "valley")["lineage"]["epoch"] == 2


def test_while_a_farm_runs_decisions_are_recorded_but_no_other_epoch_is_published(storage):
    seen = seen_by(storage, "hill")
    number = len(storage.read_lines(layout.DECISIONS))
    with ledger.owned(Storage(storage.root)):
        with pytest.raises(BusyError, match=r"while a farm is at work\. Nothing was recorded.*process"):
            Reviewing(storage).decide(Decision(**DECISION, seen=seen, epoch=1))
        with pytest.raises(ChangedError):
            Reviewing(storage).decide(Decision(**{**DECISION, "seen": "ab" * 32}))
        assert len(storage.read_lines(layout.DECISIONS)) == number
        Reviewing(storage).decide(Decision(**DECISION, seen=seen))
        assert model_of(storage, "hill")["status"] == "approved"


def test_a_piece_is_the_one_that_farm_compose_writes(storage, tmp_path):
    wish = {"bars": 6, "seed": 7, "temperature": 0.8, "top_p": 0.9, "transpose": -2, "tempo_bpm": 90.0}
    piece = Reviewing(storage).compose(Piece(style="hill", **wish))
    (facts,) = compose_pieces("hill", tmp_path / "one.mid", Wish(**wish), storage)
    assert base64.b64decode(piece["midi"]) == (tmp_path / "one.mid").read_bytes()
    assert piece["name"] == "hill-7.mid"
    assert len(piece["notes"]) <= facts["notes"]
    assert piece["tempo_bpm"] == 90.0


def test_another_training_is_made_by_the_next_run_with_another_seed(tmp_path):
    storage = copied_farm(tmp_path)
    config = tmp_path / "corpora.yaml"
    before = model_of(storage, "hill")
    desk = Reviewing(storage)
    with ledger.owned(storage):  # a farm that runs is in nobody's way
        desk.retrain(Retraining(style="hill", why="every sample ends alike"))
    with pytest.raises(FarmError, match="is asked for already"):
        desk.retrain(Retraining(style="hill", why="again"))
    assert desk.style("hill")["retraining"] == {"tiny": "every sample ends alike"}
    facts = plan_facts(load_farm(config), storage)
    reasons = {job["stage"]: job["reason"] for job in facts["styles"][0]["jobs"]}
    assert reasons["train"] == "trainings asked for changed"
    assert reasons["read"] is None
    assert not [job for job in facts["styles"][1]["jobs"] if job["reason"]], "the other style is let alone"
    _, states = run_small(config)
    assert {state.style: state.ran[:2] for state in states} == {"hill": ["train", "judge"], "valley": []}
    assert desk.style("hill")["retraining"] == {}
    assert states[0].receipts["train/tiny"]["result"]["run"] != before["run"]
    assert states[0].work.training_seed == states[0].work.seed + 1
    assert run_small(config)[1][0].ran == [], "it is made once"


def test_what_was_asked_for_can_be_taken_back_and_asked_for_again(storage):
    desk = Reviewing(storage)
    with pytest.raises(FarmError, match="nothing to take back"):
        desk.retrain(Retraining(style="hill", take_back=True))
    desk.retrain(Retraining(style="hill", why="a"))
    desk.retrain(Retraining(style="hill", take_back=True))
    assert retraining.asked(storage) == {}
    assert desk.style("hill")["retraining"] == {}
    desk.retrain(Retraining(style="hill", why="b"))
    assert retraining.asked(storage) == {"hill": {"tiny": 1}}
    with pytest.raises(FarmError, match="never trained"):
        desk.retrain(Retraining(style="nobody", why="c"))
    with pytest.raises(FarmError, match="needs its reason"):
        desk.retrain(Retraining(style="valley", why=" "))


def test_status_tells_a_running_farm_and_is_not_worked_out_for_every_page(storage, monkeypatch):
    desk = Reviewing(storage)
    quiet = desk.status()
    assert not quiet["running"]
    assert [style["title"] for style in quiet["styles"]] == ["Songs of the hill", "valley"]
    with ledger.owned(storage):
        ledger.report_progress(storage, "hill", "tiny", stage="train", epoch=2, max_epochs=4, loss=1.5)
        assert desk.status() is quiet, "worked out a moment ago"
        monkeypatch.setattr(time, "monotonic", lambda: 1e9)
        told = desk.status()
    assert told["running"]
    assert told["styles"][0]["at_work"] == [{"says": "epoch 2 of 4, loss 1.500", "done": 2, "total": 4}]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"status": "shipped"}, "status"),
        ({"why": 3}, "why"),
        ({"why": "x" * 2001}, "why"),
        ({"epoch": 0}, "epoch"),
        ({"seen": "../x"}, "seen"),
        ({"seen": None}, "seen"),
        ({"force": True}, "force"),
    ],
)
def test_a_decision_that_says_something_else_is_refused_with_the_field(changed, problem):
    import json

    with pytest.raises(FarmError, match=rf"^{problem}: .* Nothing was changed\.$"):
        read_wish(Decision, json.dumps({**DECISION, "seen": "a" * 64, **changed}).encode())
