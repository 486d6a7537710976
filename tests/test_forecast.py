"""Estimates from a farm's own history, and the queue played through without anything being done."""

from dataclasses import replace

import pytest

from farm.config import Recipe
from farm.corpus.sources import InputFile
from farm.farm_config import Style
from farm.scheduling.estimates import expected_stage_seconds, history_of
from farm.scheduling.forecast import wall_seconds
from farm.scheduling.machines import Demand, Node
from farm.scheduling.plan import plan_style
from farm.scheduling.queue import Task
from farm.scheduling.simulation import Outage, Step, simulate
from farm.scheduling.state import StyleState
from farm.scheduling.work import Work

FILE = InputFile("s", "a.mid", "x", None, 100_000, "0", "", "", "")
STYLE = Style.model_validate({"sources": [{"folder": "x"}]})
RECIPE = Recipe.model_validate({"training": {"max_epochs": 100, "max_minutes": 1000}})


def work(style="bach"):
    return Work(style, STYLE, RECIPE, 1, "a")


def receipt(took, **result):
    return {"inputs": {}, "seconds": took, "result": result}


def trained(notes, epochs, seconds):
    result = {"notes": notes, "epochs": epochs, "seconds": seconds, "run": "r"}
    return {"read": receipt(2.0, notes=notes, digest="n"), "train/compact": receipt(seconds + 5, **result)}


# --- estimates


def test_a_style_that_was_trained_takes_as_long_as_last_time():
    assert expected_stage_seconds("train/compact", [], trained(10_000, 20, 100), RECIPE) == 105


def test_one_that_never_was_takes_what_others_took_for_their_notes():
    history = history_of([([], trained(10_000, 20, 100), work(name)) for name in ("a", "b", "c")])
    assert history.rates["compact"].notes_per_second == 2_000
    new = {"read": receipt(1.0, notes=50_000, digest="n")}
    assert expected_stage_seconds("train/compact", [], new, RECIPE, history) == 50_000 * 20 / 2_000
    other = RECIPE.model_copy(update={"name": "other"})
    without = expected_stage_seconds("train/other", [], new, other)
    assert expected_stage_seconds("train/other", [], new, other, history) == without == 50_000 * 100 / 15_000
    short = Recipe.model_validate({"training": {"max_minutes": 1}})
    assert expected_stage_seconds("train/compact", [], new, short, history) == 60


def test_an_odd_style_does_not_move_the_rate():
    odd = trained(10_000, 1, 10_000)
    usual = [([], trained(10_000, 20, 100), work(name)) for name in ("a", "b")]
    assert history_of([*usual, ([], odd, work("odd"))]).rates["compact"].notes_per_second == 2_000


def test_other_stages_take_what_they_took_against_the_first_guess():
    slow = {**trained(10_000, 20, 100), "judge/compact": receipt(60.0), "baseline": receipt(3.0)}
    history = history_of([([], slow, work())])
    assert history.factors["judge"] == 2.0
    assert expected_stage_seconds("judge/compact", [], {}, RECIPE, history) == 60
    assert expected_stage_seconds("baseline", [], trained(20_000, 1, 1), RECIPE, history) == pytest.approx(6.0)


# --- the simulation


def step(name, seconds, after=(), cpus=1, gpus=0, **more):
    task = Task(name, name.split("/")[0], "train", dict, (), Demand(cpus, gpus), expected_seconds=seconds)
    return Step(task, seconds, tuple(after), **more)


def ends(spans):
    return {span.task.id: span.ended for span in spans if span.ok}


def test_steps_follow_each_other_and_fill_the_machine():
    steps = [step("a", 5), step("b", 3), step("c", 2), step("d", 1, after=["b", "c"])]
    assert ends(simulate(steps, [Node("x", 2)])) == {"b": 3, "a": 5, "c": 5, "d": 6}


def test_a_step_that_fails_is_tried_again():
    spans = simulate([step("a", 5)], [Node("x", 1)], fails_after=lambda step, attempt: 2.0 if attempt < 3 else None)
    assert [(span.began, span.ended, span.ok) for span in spans] == [(0, 2, False), (2, 4, False), (4, 9, True)]


def test_a_machine_that_goes_costs_what_was_not_kept():
    nodes = [Node("x", 1), Node("y", 1)]
    steps = [step("a", 10, kept_seconds=3), step("b", 10)]
    spans = simulate(steps, nodes, [Outage("x", 7, 100), Outage("y", 7, 8)])
    assert [(span.task.id, span.ok, span.ended) for span in spans][:2] == [("a", False, 7), ("b", False, 7)]
    assert ends(spans) == {"a": 8 + 4, "b": 12 + 10}  # both on y, the only one there


def test_what_can_never_start_is_an_error():
    with pytest.raises(ValueError, match="never start"):
        simulate([step("a", 1, gpus=1)], [Node("x", 1)])
    with pytest.raises(ValueError, match="never start"):
        simulate([step("a", 1, after=["b"])], [Node("x", 1)])


# --- the forecast


def state_of(style, receipts):
    state = StyleState(work(style), files=[FILE], digest="f", receipts=receipts)
    state.jobs = plan_style(state.work, "f", receipts)
    return state


def test_a_run_on_two_cores_takes_half_of_its_jobs_and_the_longest_chain_at_least():
    states = [state_of(name, {}) for name in "abcd"]
    jobs = sum(expected_stage_seconds(job.key, one.files, {}, RECIPE) for one in states for job in one.jobs)
    assert jobs / 2 <= wall_seconds(states, None, [Node("x", 2)]) <= jobs / 2 * 1.1
    chain = sum(expected_stage_seconds(job.key, states[0].files, {}, RECIPE) for job in states[0].jobs)
    assert chain * 0.9 < wall_seconds(states, None, [Node("x", 64)]) <= chain + 4 * 3
    assert wall_seconds([replace(states[0], jobs=[])], None, [Node("x", 2)]) == 0
