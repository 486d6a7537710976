"""The queue as lists in, lists out: who starts when and where; and what trainings ask of machines."""

import pytest

from farm.config import Recipe
from farm.config_file import load_farm
from farm.errors import ConfigError
from farm.scheduling.demands import DemandError, demand_of, refuse_what_no_machine_has
from farm.scheduling.local import node_here
from farm.scheduling.machines import Demand, Node, Place
from farm.scheduling.queue import Queue, Task, threads_per_training
from farm.scheduling.work import Work
from farm.scheduling.workers import environment_of
from farm.training.devices import Gpu


def task(name, cpus=1, gpus=0, gpu_type="", memory=0, node="", **more):
    stage = more.pop("stage", "train")
    return Task(name, name.split("/")[0], stage, dict, (), Demand(cpus, gpus, gpu_type, memory, node), **more)


def queue_of(tasks, *nodes):
    queue = Queue(nodes)
    for one in tasks:
        queue.add(one)
    return queue


def starts(queue):
    return [one.id for one in queue.start()]


def places(queue):
    return {one.id: (one.place.node, *one.place.gpus) for one in queue.start()}


def test_priority_then_the_longest_then_the_name():
    waiting = [task("a", expected_seconds=1), task("b", expected_seconds=9), task("c", priority=1), task("0", 1)]
    queue = queue_of(waiting, Node("x", 2))
    assert starts(queue) == ["c", "b"]
    queue.end("c")
    queue.end("b")
    assert starts(queue) == ["a", "0"]
    assert queue.n_waiting == 0


def test_what_is_ready_is_published_before_other_styles_go_on():
    queue = queue_of(
        [task("a", expected_seconds=9), task("b", stage="publish"), task("c", stage="publish"), task("d", priority=1)],
        Node("x", 2),
    )
    assert starts(queue) == ["d", "b"]
    queue.end("d")
    assert starts(queue) == ["a"]  # one at a time
    queue.end("b")
    assert starts(queue) == ["c"]


def test_what_does_not_fit_lets_smaller_ones_pass():
    queue = queue_of([task("big", 4, expected_seconds=9), task("small"), task("x", priority=1)], Node("x", 4))
    assert starts(queue) == ["x", "small"]
    queue.end("x")
    assert starts(queue) == []
    queue.end("small")
    assert starts(queue) == ["big"]


def test_a_task_is_on_one_machine():
    queue = queue_of([task("wide", 3), task("a"), task("b")], Node("x", 2), Node("y", 2))
    assert starts(queue) == ["a", "b"]
    assert [one.id for one in queue.homeless()] == ["wide"]


def test_one_publisher_at_a_time():
    queue = queue_of([task("a/publish", stage="publish"), task("b/publish", stage="publish"), task("c")], Node("x", 8))
    assert starts(queue) == ["a/publish", "c"]
    queue.end("a/publish")
    assert starts(queue) == ["b/publish"]


def test_a_style_may_limit_how_many_of_its_tasks_run_at_once():
    waiting = [task(f"a/{n}", at_once=2, expected_seconds=9) for n in range(4)] + [task("b/0")]
    queue = queue_of(waiting, Node("x", 8))
    assert starts(queue) == ["a/0", "a/1", "b/0"]
    queue.end("a/1")
    assert starts(queue) == ["a/2"]


def test_what_needs_a_gpu_starts_before_what_does_not():
    queue = queue_of([task("cpu", expected_seconds=9), task("gpu", gpus=0.5)], Node("x", 1, 1))
    assert starts(queue) == ["gpu"]


def test_shares_of_gpus_are_packed_and_whole_ones_kept():
    waiting = [task("a", gpus=0.5), task("b", gpus=0.25), task("c", gpus=0.25), task("d", gpus=1), task("e", gpus=0.1)]
    queue = queue_of(waiting, Node("x", 16, 2))
    assert places(queue) == {"a": ("x", 0), "b": ("x", 0), "c": ("x", 0), "d": ("x", 1)}
    queue.end("b")
    assert places(queue) == {"e": ("x", 0)}
    two = queue_of([task("t", gpus=2)], Node("x", 4, 1), Node("y", 4, 3))
    assert places(two) == {"t": ("y", 0, 1)}


def test_ten_tenths_are_a_whole():
    queue = queue_of([task(f"{n:02}", gpus=0.1) for n in range(11)], Node("x", 16, 1))
    assert len(queue.start()) == 10


def test_the_memory_of_a_gpu_is_shared_out_too():
    queue = queue_of([task(name, gpus=0.1, memory=6000) for name in "abc"], Node("x", 8, 1, "T4", 16_384))
    assert starts(queue) == ["a", "b"]
    assert not queue_of([task("a", gpus=1, memory=20_000)], Node("x", 8, 1, "T4", 16_384)).start()
    (half,) = queue_of([task("a", gpus=0.5)], Node("x", 8, 1, "T4", 16_384)).start()
    assert half.place == Place("x", (0,), 8_192)


def test_a_type_of_gpu_is_found_by_its_name():
    nodes = Node("a", 8, 1, "NVIDIA A100-SXM4-80GB"), Node("h", 8, 1, "H100"), Node("n", 8)
    queue = queue_of([task("x", gpus=1, gpu_type="H100"), task("y", gpus=1, gpu_type="a100")], *nodes)
    assert places(queue) == {"x": ("h", 0), "y": ("a", 0)}
    queue.add(task("z", gpus=1, gpu_type="T4"))
    assert [one.id for one in queue.homeless()] == ["z"]


def test_what_needs_no_gpu_leaves_the_machines_that_have_one():
    queue = queue_of([task("a"), task("b"), task("c")], Node("gpu", 4, 1), Node("x", 1), Node("y", 1))
    assert places(queue) == {"a": ("x",), "b": ("y",), "c": ("gpu",)}


def test_a_machine_that_failed_a_task_is_avoided_while_there_is_another():
    nodes = Node("x", 4), Node("y", 1)
    queue = queue_of([task("a", avoids=frozenset("x")), task("b", avoids=frozenset("xy"))], *nodes)
    assert places(queue) == {"a": ("y",), "b": ("x",)}


def test_what_has_to_be_on_a_machine_waits_for_it_and_one_that_is_kept_takes_nothing_else():
    nodes = Node("head", 1, is_kept=True), Node("x", 4)
    queue = queue_of([task("a", node="head"), task("b", node="head"), task("c"), task("d", node="y")], *nodes)
    assert places(queue) == {"a": ("head",), "c": ("x",)}
    assert [one.id for one in queue.homeless()] == ["d"]
    queue.end("a")
    assert places(queue) == {"b": ("head",)}


def test_what_no_machine_holds_is_given_up_after_a_while_and_not_when_one_comes_back():
    queue = queue_of([task("a", gpus=1), task("b", gpus=1)], Node("x", 2))
    assert queue.give_up(100, 45) == queue.give_up(144, 45) == []
    queue.set_nodes([Node("x", 2, 1)])
    assert queue.give_up(146, 45) == []
    queue.set_nodes([Node("x", 2)])
    assert queue.give_up(150, 45) == queue.give_up(194, 45) == []
    assert [one.id for one in queue.give_up(195, 45)] == ["a", "b"]
    assert queue.n_waiting == 0


def test_machines_come_and_go():
    queue = queue_of([task("a", gpus=1), task("b", gpus=1)], Node("x", 2, 1))
    assert places(queue) == {"a": ("x", 0)}
    queue.set_nodes([Node("y", 2, 1)])
    assert places(queue) == {"b": ("y", 0)}
    queue.end("a")  # on a machine that is gone
    queue.set_nodes([Node("x", 2, 1), Node("y", 2, 1)])
    queue.add(task("c", gpus=1))
    assert places(queue) == {"c": ("x", 0)}


def test_a_task_that_keeps_room_is_not_passed_for_ever():
    queue = queue_of([task("x"), task("y")], Node("m", 4))
    assert starts(queue) == ["x", "y"]
    for one in [task("base", 3, priority=9, keeps_room=True), task("small")]:
        queue.add(one)
    assert starts(queue) == []
    queue.end("x")
    assert starts(queue) == ["base"]
    queue.end("y")
    assert starts(queue) == ["small"]


def test_dropped_tasks_do_not_start():
    queue = queue_of([task("a/1"), task("a/2", 2), task("b/1")], Node("x", 9))
    assert {one.id for one in queue.drop(lambda one: one.style == "a")} == {"a/1", "a/2"}
    assert starts(queue) == ["b/1"]


def test_the_same_calls_give_the_same_answers():
    waiting = [task(f"s{n}", 1 + n % 3, gpus=n % 2 / 4, expected_seconds=n * 37 % 11) for n in range(40)]

    def play():
        queue, order = queue_of(waiting, Node("a", 4, 1), Node("b", 8)), []
        while started := queue.start():
            order.append([(one.id, one.place) for one in started])
            for one in list(queue.running)[:2]:
                queue.end(one)
        return order

    assert play() == play()


def test_threads_are_shared_out():
    assert [threads_per_training(16, jobs) for jobs in (0, 1, 3, 16, 40)] == [16, 16, 5, 1, 1]


# --- what a training asks for


def demand(nodes, threads=2, **devices):
    recipe = Recipe.model_validate({"devices": devices})
    return demand_of(recipe, recipe.training, nodes, threads)


CPUS = (Node("x", 8),)
T4 = (Node("x", 8, 1, "T4", 15_360),)


def test_a_training_takes_a_gpu_where_there_is_one():
    assert demand(CPUS) == Demand(cpus=2)
    assert demand(T4) == Demand(cpus=1, gpus=0.25)
    assert demand(T4, gpus=0) == Demand(cpus=2)
    assert demand(T4, gpus=1, cpus=4) == Demand(cpus=4, gpus=1)
    assert demand(T4, gpu_memory_mib=7_000) == Demand(1, 0.5, "", 7_000)


def test_a_large_network_shares_its_gpu_with_fewer():
    network = {"layers": [2048, 2048], "embedding": 1024, "head": 1024}
    recipe = Recipe.model_validate({"network": network, "training": {"batch_windows": 64}})
    assert demand_of(recipe, recipe.training, T4, 1).gpus == 1
    assert demand_of(recipe, recipe.training, (Node("x", 8, 1, "H100", 81_559),), 1).gpus < 1


@pytest.mark.parametrize(
    ("nodes", "devices", "told"),
    [
        (CPUS, {"gpus": 1}, "asks for 1 CPU, a GPU; there is 1 machine with 8 CPUs and no GPU; change 'devices'"),
        (CPUS, {"gpu_type": "H100"}, "of a GPU of type H100; there is 1 machine"),
        (T4, {"gpu_type": "H100"}, "there is 1 machine with 8 CPUs and 1 GPU of type T4 with 15360 MiB"),
        (T4, {"gpus": 0.5, "gpu_memory_mib": 20_000}, "20000 MiB of its memory"),
        (T4, {"cpus": 64}, "asks for 64 CPUs"),
        ((), {"gpus": 1}, "there is no machine"),
    ],
)
def test_what_no_machine_has_is_refused_by_name(nodes, devices, told):
    asked = demand(nodes, **devices)
    with pytest.raises(DemandError) as caught:
        refuse_what_no_machine_has([("bach", "compact", asked), ("chopin", "compact", asked)], nodes)
    assert str(caught.value).startswith("bach, chopin: training by recipe compact asks for ")
    assert told in str(caught.value)


def test_several_gpus_for_one_task_are_refused_where_there_are_fewer():
    with pytest.raises(DemandError, match="2 GPUs; there is 1 machine with 8 CPUs and 1 GPU"):
        refuse_what_no_machine_has([("bach", "compact", Demand(gpus=2))], T4)


def test_devices_are_part_of_no_key():
    style = {"sources": [{"folder": "x"}]}
    from farm.farm_config import Style

    plain, gpu = Recipe(), Recipe.model_validate({"devices": {"gpus": 0.5, "gpu_type": "H100"}})
    one, other = (Work("bach", Style.model_validate(style), recipe, 1, "a") for recipe in (plain, gpu))
    assert one.run_id("n") == other.run_id("n")
    assert one.to_json() == other.to_json()


FARM = "farm: 1\nrecipe: mine.yaml\nstyles:\n  bach:\n    sources: [{folder: x}]\n"


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ("{gpu: 1}", "5: devices.gpu is not a known key; did you mean 'gpus'?"),
        ("{gpus: 2}", "5: devices.gpus is 2; input should be less than or equal to 1"),
        ("{gpus: 0, gpu_type: H100}", "5: devices.gpu_type: has no meaning with gpus: 0"),
        ("{gpu_memory_mib: 4 GB}", '5: devices.gpu_memory_mib is "4 GB"; input should be a valid integer'),
    ],
)
def test_devices_of_a_style_go_over_those_of_its_recipe(tmp_path, devices, told):
    (tmp_path / "mine.yaml").write_text("recipe: 1\nname: mine\ndevices: {gpu_type: A100}\n")
    path = tmp_path / "corpora.yaml"
    path.write_text(FARM.replace("    sources", "    devices: {cpus: 3}\n    tasks_at_once: 2\n    sources"))
    farm = load_farm(path)
    (recipe,) = farm.recipes["bach"]
    assert (recipe.devices.gpu_type, recipe.devices.cpus, farm.styles["bach"].tasks_at_once) == ("A100", 3, 2)
    (tmp_path / "mine.yaml").write_text("recipe: 1\nname: mine\n")
    path.write_text(FARM.replace("    sources", f"    devices: {devices}\n    sources"))
    with pytest.raises(ConfigError) as caught:
        load_farm(path)
    assert str(caught.value).startswith(f"{path}:{told}")


# --- what its process is told


def test_a_task_without_a_gpu_sees_none():
    assert environment_of(task("a")) == {"CUDA_VISIBLE_DEVICES": "-1"}


def test_a_share_of_a_gpu_comes_with_a_limit_of_memory():
    here = node_here(8, [Gpu("3", "T4", 15_360), Gpu("5", "T4", 15_360)])
    assert here == Node("here", 8, 2, "T4", 15_360)
    (half,) = queue_of([task("a", gpus=0.5)], here).start()
    assert environment_of(half) == {"FARM_GPU_SHARE": "0.5", "FARM_GPU_MEMORY_MIB": "7680"}
    (whole,) = queue_of([task("a", gpus=1)], here).start()
    assert environment_of(whole) == {"FARM_GPU_SHARE": "1", "FARM_GPU_MEMORY_MIB": ""}
    (unknown,) = queue_of([task("a", gpus=0.5)], Node("n", 8, 1)).start()
    assert environment_of(unknown) == {"FARM_GPU_SHARE": "0.5", "FARM_GPU_MEMORY_MIB": ""}
