"""The loop of a run with an executor that does nothing but answer: what starts when, and what a failure costs."""

import pytest
import yaml

from farm.config_file import load_farm
from farm.errors import ConfigError
from farm.planning import plan_facts, plan_lines
from farm.scheduling import publishing
from farm.scheduling.demands import DemandError
from farm.scheduling.machines import Node
from farm.scheduling.queue import Outcome
from farm.scheduling.run import run_farm
from farm.status import run_facts, run_lines, status_facts
from farm.storage import Storage

ANSWERS = {
    "read": {"digest": "n", "notes": 9, "states": {"read": 1}, "repaired": 0, "in_seconds": 0},
    "baseline": {"bits_per_note": 5.0, "order": 2},
    "base": {"digest": "w", "run": "b", "epoch": 2, "epochs": 3, "val_bits_per_note": 6.0, "sources": [], "pieces": 1}
    | {"styles": ["one", "two"], "left_out": {"styles": []}, "unread": {}, "trained": True, "why": "", "file": "f"},
    "train": {"run": "r", "epochs": 3, "best_val_bits_per_note": 5.0},
    "judge": {"digest": "v", "epoch": 2, "verdict": "healthy", "fit": True, "reason": "good"},
    "publish": {"name": "x-1", "bytes": 9, "recipe": None},
}


class Answering:
    """Every task is done at once, but for those that `failing` names, by the beginning of their id."""

    name = "answering"
    nodes, home = (Node("here", cpus=4),), ""

    def __init__(self, failing=()):
        self.failing = failing
        self.done = []
        self.tasks = []
        self.outcomes = []

    def submit(self, task):
        self.tasks.append(task)
        self.done.append(task.id.replace("/clean", ""))
        if task.id.startswith(tuple(self.failing)):
            self.outcomes.append(Outcome(task, error=f"{task.style}: no good", kind="style"))
        elif not task.ends_stage:
            self.outcomes.append(Outcome(task, {"tunes": 1}))
        else:
            answer = ANSWERS[task.stage]
            self.outcomes.append(
                Outcome(task, {**answer, "digest": f"{answer.get('digest')} {task.arguments[0].seed}"})
            )

    def wait(self, timeout_seconds):
        found, self.outcomes = self.outcomes, []
        return found

    def close(self):
        pass


class Moody(Answering):
    """Its machines fail tasks that begin so as nobody's fault, or are gone from the first of them on."""

    def __init__(self, nodes, unlucky=(), left=None):
        super().__init__()
        self.nodes, self.unlucky, self.left = nodes, list(unlucky), left
        self.closed = False

    def submit(self, task):
        name = next((name for name in self.unlucky if task.id.startswith(name)), None)
        super().submit(task)
        if name is not None:
            self.unlucky.remove(name)
            self.outcomes[-1] = Outcome(task, error="machine gone", kind="infrastructure")
            self.nodes = self.nodes if self.left is None else self.left

    def close(self):
        self.closed = True


class Silent:
    def begin(self, state, job): ...
    def end(self, state, stage, recipe, result): ...
    def fail(self, state, stage, recipe, message): ...
    def tick(self, states): ...


@pytest.fixture
def farm_of(tmp_path, monkeypatch):
    """Return a function that writes a farm of two styles with these keys and recipes, and loads it."""
    monkeypatch.setattr(publishing, "_write_site", lambda storage: None)
    for style in ("one", "two", "three"):
        (tmp_path / style).mkdir()
        (tmp_path / style / "a.mid").write_bytes(b"MThd" + style.encode())

    def write(styles=("one", "two"), recipes=("tiny",), **keys):
        for recipe in recipes:
            (tmp_path / f"{recipe}.yaml").write_text(yaml.safe_dump({"recipe": 1, "name": recipe}))
        sources = {style: {"sources": [{"folder": style, "licence": "CC0-1.0"}]} for style in styles}
        farm = {"farm": 1, "recipe": [f"{recipe}.yaml" for recipe in recipes], **keys, "styles": sources}
        (tmp_path / "corpora.yaml").write_text(yaml.safe_dump(farm))
        return load_farm(tmp_path / "corpora.yaml"), Storage(tmp_path / "artifacts")

    return write


def run(farm, storage, failing=(), styles=None, until="publish", executor=None):
    executor = executor or Answering(failing)
    chosen = styles or list(farm.styles)
    states, base = run_farm(
        farm, storage, styles=chosen, until=until, make_executor=lambda: executor, listener=Silent()
    )
    return executor, run_facts(states, base, storage)


def test_the_base_comes_after_all_reading_and_before_all_training(farm_of):
    executor, facts = run(*farm_of())
    order = executor.done
    base = order.index("base/base/tiny")
    assert all(order.index(f"{style}/read") < base < order.index(f"{style}/train/tiny") for style in ("one", "two"))
    assert facts["failed"] == []
    (task,) = [task for task in executor.tasks if task.stage == "base"]
    assert (task.demand.cpus, task.arguments[0].threads) == (3, 4)
    again, facts = run(*farm_of())
    assert again.done == []
    assert [style["ran"] for style in facts["styles"]] == [[], []]


def test_without_a_base_training_waits_for_its_own_style_only(farm_of):
    executor, facts = run(*farm_of(base="none"))
    assert facts["bases"] == []
    assert not [name for name in executor.done if name.startswith("base")]


def test_one_style_alone_has_the_others_read_for_its_base(farm_of):
    executor, facts = run(*farm_of(), styles=["one"])
    assert "two/read" in executor.done
    assert not [name for name in executor.done if name.startswith("two/") and "read" not in name]
    assert [style["style"] for style in facts["styles"]] == ["one"]
    only, _ = run(*farm_of(seed=1), styles=["one"], until="read")
    assert {name.split("/")[0] for name in only.done} == {"one"}


def test_a_style_that_cannot_be_read_is_left_out_of_the_base_and_said(farm_of):
    executor, facts = run(*farm_of(styles=("one", "two", "three")), failing=["two/read"])
    assert facts["failed"] == ["two"]
    (task,) = [task for task in executor.tasks if task.stage == "base"]
    assert task.arguments[1]["unread"] == {"two": "two: no good"}
    assert {"one/publish", "three/publish"} <= set(executor.done)


def test_a_base_that_fails_fails_those_that_need_it_and_says_the_way_out(farm_of):
    farm, storage = farm_of()
    farm.styles["two"] = farm.styles["two"].model_copy(update={"base": "none"})
    executor, facts = run(farm, storage, failing=["base/"])
    one, two = facts["styles"]
    assert one["failed_stage"] == "train"
    assert "the common base failed: base: no good" in one["error"]
    assert "'base: none'" in one["error"]
    assert two["error"] is None
    assert "two/publish" in executor.done
    assert "base: failed: base: no good" in run_lines(facts)


def test_a_base_that_nobody_is_left_to_teach_fails_without_being_tried(farm_of):
    farm, storage = farm_of()
    farm.styles["three"] = farm.styles["one"].model_copy(update={"base": None})
    farm.recipes["three"] = farm.recipes["one"]
    farm = farm.model_copy(update={"base": ["one", "two"]})
    executor, facts = run(farm, storage, failing=["one/read", "two/read"])
    assert sorted(facts["failed"]) == ["one", "three", "two"]
    assert "none of the styles that it hears could be read" in facts["styles"][2]["error"]
    assert not [task for task in executor.tasks if task.stage == "base"]


def test_every_recipe_is_trained_and_judged_and_coming_back_trains_nothing(farm_of):
    both = farm_of(recipes=("tiny", "large"), base="none")
    executor, facts = run(*both)
    for style in ("one", "two"):
        judged = [executor.done.index(f"{style}/judge/{recipe}") for recipe in ("tiny", "large")]
        assert max(judged) < executor.done.index(f"{style}/publish")
    assert facts["styles"][0]["ran"][-1] == "publish"
    assert {"train tiny", "train large"} <= set(facts["styles"][0]["ran"])
    other, _ = run(*farm_of(recipes=("third",), base="none"))
    assert {"one/train/third", "two/train/third"} <= set(other.done)
    back, _ = run(*farm_of(recipes=("tiny", "large"), base="none"))
    assert sorted(back.done) == ["one/publish", "two/publish"]


def test_a_recipe_that_fails_leaves_the_style_to_the_others(farm_of):
    farm, storage = farm_of(recipes=("tiny", "large"), base="none")
    executor, facts = run(farm, storage, failing=["one/train/large"])
    one, two = facts["styles"]
    assert one["failed_recipes"] == {"large": "one: no good"}
    assert (one["error"], two["failed_recipes"], facts["failed"]) == (None, {}, ["one"])
    (task,) = [task for task in executor.tasks if task.id == "one/publish"]
    assert task.arguments[2] == {"large": ("train", "one: no good")}
    assert any("large failed: one: no good" in line for line in run_lines(facts))
    _, facts = run(farm, storage, failing=["one/train"])
    assert facts["styles"][0]["failed_recipes"] == {"large": "one: no good"}


def test_a_style_of_which_all_recipes_fail_has_failed(farm_of):
    executor, facts = run(*farm_of(recipes=("tiny", "large"), base="none"), failing=["one/train"])
    assert facts["styles"][0]["failed_stage"] == "train"
    assert "one/publish" not in executor.done


def test_plan_and_status_name_recipes_only_where_there_are_several(farm_of):
    farm, storage = farm_of()
    text = "\n".join(plan_lines(plan_facts(farm, storage)))
    assert "tiny" not in text
    assert text.startswith("base: hears 2 styles; base (follows read)")
    several, storage = farm_of(recipes=("tiny", "large"))
    text = "\n".join(plan_lines(plan_facts(several, storage)))
    assert "train tiny (follows read), judge tiny (follows train tiny), train large" in text
    assert "base large: hears 2 styles" in text
    run(several, storage)
    facts = status_facts(storage, with_rejects=False)
    assert [style["style"] for style in facts["styles"]] == ["one", "two"]
    assert [base["recipe"] for base in facts["bases"]] == ["large", "tiny"]


def test_a_base_file_that_is_none_stops_before_anything_starts(farm_of, tmp_path):
    (tmp_path / "x.base.safetensors").write_bytes(b"no")
    farm, storage = farm_of(base="x.base.safetensors")
    with pytest.raises(ConfigError, match=r"corpora.yaml:1: base: .*no whole base file"):
        run(farm, storage)


# --- machines


GPU = Node("gpu", 4, 1, "T4")
PLAIN = Node("plain", 4)


def places(executor, name):
    return [task.place.node for task in executor.tasks if task.id.startswith(name)]


def test_what_a_machine_failed_is_tried_on_another_and_counted(farm_of):
    farm, storage = farm_of(base="none")
    executor, facts = run(farm, storage, executor=Moody((PLAIN, Node("other", 4)), ["one/judge", "two/judge"]))
    assert facts["failed"] == []
    for style in ("one", "two"):
        first, second = places(executor, f"{style}/judge")
        assert {first, second} == {"plain", "other"}
    tries = {
        style["style"]: style["attempts"]["judge"] for style in status_facts(storage, with_rejects=False)["styles"]
    }
    assert tries == {"one": 2, "two": 2}


def test_a_task_that_no_machine_brings_to_its_end_fails_its_style_only(farm_of):
    executor, facts = run(*farm_of(base="none"), executor=Moody((PLAIN,), ["one/judge"] * 3))
    assert facts["failed"] == ["one"]
    assert facts["styles"][0]["error"] == "machine gone"
    assert "two/publish" in executor.done


def test_a_gpu_is_used_where_there_is_one_and_processors_when_it_is_gone(farm_of, monkeypatch):
    monkeypatch.setattr("farm.scheduling.run._PATIENCE_SECONDS", 0.0)
    farm, storage = farm_of(base="none")
    executor, facts = run(farm, storage, executor=Moody((GPU, PLAIN), ["one/train"], left=(PLAIN,)))
    assert facts["failed"] == []
    assert places(executor, "one/train") == ["gpu", "plain"]
    assert [task.demand.gpus for task in executor.tasks if task.id.startswith("one/train")] == [0.25, 0]


def with_devices(farm, style, **devices):
    recipe = farm.recipes[style][0]
    asked = recipe.model_copy(update={"devices": recipe.devices.model_copy(update=devices)})
    return farm.model_copy(update={"recipes": {**farm.recipes, style: (asked,)}})


def test_a_gpu_that_is_demanded_and_goes_fails_its_style_by_name(farm_of, monkeypatch):
    monkeypatch.setattr("farm.scheduling.run._PATIENCE_SECONDS", 0.0)
    farm, storage = farm_of(base="none")
    executor, facts = run(
        with_devices(farm, "one", gpus=1.0), storage, executor=Moody((GPU, PLAIN), ["one/train"], left=(PLAIN,))
    )
    assert facts["failed"] == ["one"]
    assert facts["styles"][0]["error"].startswith("training by recipe tiny asks for 1 CPU, a GPU; there is 1 machine")
    assert "two/publish" in executor.done


def test_a_gpu_that_is_demanded_where_there_is_none_stops_before_anything_starts(farm_of):
    farm, storage = farm_of(base="none")
    executor = Moody((PLAIN,))
    with pytest.raises(DemandError, match="one: training by recipe tiny asks for 1 CPU, a GPU; there is 1 machine"):
        run(with_devices(farm, "one", gpus=1.0), storage, executor=executor)
    assert (executor.done, executor.closed) == ([], True)
    _, facts = run(with_devices(farm, "one", gpus=1.0), storage, until="read", executor=Moody((PLAIN,)))
    assert facts["failed"] == []
