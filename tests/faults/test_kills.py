"""A run that is killed with all its processes, in every stage, ends as one that was not. In full: `make faults`."""

import pytest

from farm.progress import describe
from farm.scheduling.plan import UNTIL
from tests.faults.killing import Point, killed_and_gone_on
from tests.faults.small_farm import STAGES, make_farm, outcome


def test_the_unkilled_run_goes_through_every_stage_and_publishes(unkilled):
    found, _ = unkilled
    assert all(found.operations[stage] > 0 for stage in STAGES)
    assert [model["style"] for model in found.came_to["catalog"]["models"]] == ["hill", "moor", "vale"]
    assert found.came_to["catalog"]["failures"] == []
    assert found.came_to == outcome(found.folder)


def test_status_answers_all_the_while(unkilled):
    _, answers = unkilled
    told = "\n".join(text for running, text in answers if running)
    assert "a farm is running" in told
    for sign in ("reading batch", "base tiny; ", "epoch", "candidate"):
        assert sign in told


@pytest.mark.parametrize("stage", [*UNTIL["publish"], "?"])
def test_every_stage_can_be_told_of_before_it_has_told_anything(stage):
    assert describe({"stage": stage})


def test_a_run_killed_in_one_stage_after_the_other_comes_to_the_same(unkilled, tmp_path):
    found, _ = unkilled
    # A third of what one style has: the others may be further by then.
    train, judge, publish = (Point(stage, found.operations[stage] // 9) for stage in ("train", "judge", "publish"))
    points = [Point("read", 20), Point("base", found.operations["base"] // 2), train, judge, publish]
    new = make_farm(tmp_path / "new")
    assert killed_and_gone_on(new, tmp_path / "killed", points, found) == []
