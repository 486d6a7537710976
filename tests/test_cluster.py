"""The farm on Ray: a cluster of this machine's own, whose nodes die, whose store is full, whose version is another."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from killed_nodes import STYLES, farm_and_kill, farm_once, notes_of, write_farm
from small_cluster import cluster_of, processes_of, wait_until

from farm.errors import FarmError
from farm.scheduling.cluster import RayExecutor
from farm.scheduling.local import LocalExecutor
from farm.scheduling.machines import Demand
from farm.scheduling.queue import Queue, Task
from farm.storage import Storage


def _environment():
    return {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "FARM_GPU_SHARE", "FARM_GPU_MEMORY_MIB")}


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _sleep():
    time.sleep(600)


def _take(load):
    return {"bytes": len(load)}


def task(name, call, *arguments, gpus=0, memory=0, cpus=1, stage="judge"):
    return Task(name, name, stage, call, arguments, Demand(cpus, gpus, "", memory))


def play(executor, tasks, seconds=60):
    """Start tasks as the queue says, and return what became of each."""
    queue, ended, until = Queue(executor.nodes), {}, time.monotonic() + seconds
    for one in tasks:
        queue.add(one)
    while len(ended) < len(tasks) and time.monotonic() < until:
        for one in queue.start():
            executor.submit(one)
        for outcome in executor.wait(0.5):
            queue.end(outcome.task.id)
            ended[outcome.task.id] = outcome
    return ended


@pytest.fixture(scope="module")
def cluster():
    plain, gpu = {"num_cpus": 2}, {"num_cpus": 2, "num_gpus": 1, "labels": {"ray.io/accelerator-type": "T4"}}
    # Ray is told that the disk is full, so that it holds what the object store cannot.
    with cluster_of(plain, gpu, RAY_local_fs_capacity_threshold="0.0001") as made:
        yield made
        address = made.address
    assert wait_until(lambda: not processes_of(address), 60), processes_of(address)


@pytest.fixture
def executor(cluster, tmp_path):
    made = RayExecutor(0, cluster.address, Storage(tmp_path))
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers do not know this file
    yield made
    made.close()


def test_a_cluster_tells_its_machines_and_gpus(executor):
    assert sorted((node.cpus, node.gpus, node.gpu_type) for node in executor.nodes) == [(2, 0, ""), (2, 1, "T4")]


def test_tasks_run_where_the_queue_put_them_and_see_what_they_asked_for(executor):
    import ray

    def where():
        return {"node": ray.get_runtime_context().get_node_id()}

    done = play(executor, [task(f"{n}", where) for n in range(4)] + [task("gpu", where, gpus=0.25)])
    assert all(outcome.value["node"] == outcome.task.place.node for outcome in done.values())
    told = play(executor, [task("none", _environment), task("some", _environment, gpus=0.5, memory=4096)])
    assert told["none"].value["CUDA_VISIBLE_DEVICES"] == "-1"
    assert told["some"].value == {
        "CUDA_VISIBLE_DEVICES": "0",
        "FARM_GPU_SHARE": "0.5",
        "FARM_GPU_MEMORY_MIB": "4096",
    }


def test_a_worker_that_lacks_the_farm_is_told_by_name(executor):
    done = play(executor, [task("lost", cluster_of)])
    assert done["lost"].kind == "infrastructure"
    assert done["lost"].error == (
        "worker cannot begin: ModuleNotFoundError: No module named 'small_cluster'; "
        "install the same farm on every machine of the cluster"
    )


def test_a_worker_that_dies_costs_its_task_only(executor):
    done = play(executor, [task("dead", _die), task("fine", _environment)])
    assert done["dead"].kind == "infrastructure"
    assert done["dead"].error.startswith("worker lost: WorkerCrashedError: ")
    assert done["fine"].ok


def test_a_full_object_store_is_told_by_name(executor):
    began = time.monotonic()
    done = play(executor, [task("much", _take, bytes(120 * 2**20)), task("little", _take, b"x")])
    assert time.monotonic() - began < 60
    assert done["much"].kind == "infrastructure"
    assert "OutOfDiskError" in done["much"].error or "ObjectStoreFullError" in done["much"].error
    assert "; free" in done["much"].error
    assert done["little"].value == {"bytes": 1}


def test_another_version_of_ray_is_told_by_name(cluster, tmp_path):
    import ray
    from ray._private.worker import global_worker

    def metadata(change):
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        place = b"CLUSTER_METADATA", b"cluster"
        found = json.loads(global_worker.gcs_client.internal_kv_get(*place))
        key, namespace = place
        global_worker.gcs_client.internal_kv_put(key, json.dumps({**found, **change}).encode(), True, namespace)
        ray.shutdown()
        return found

    was = metadata({"ray_version": "2.9.0"})
    began = time.monotonic()
    with pytest.raises(
        FarmError, match=r"the cluster has another Ray or Python .*2\.9\.0.*; install the cluster's here"
    ):
        RayExecutor(0, cluster.address, Storage(tmp_path))
    assert time.monotonic() - began < 60
    # Ray itself now refuses to join and put that back, so the next tests need the value from before.
    from ray._raylet import GcsClient

    client = GcsClient(address=cluster.address)
    client.internal_kv_put(b"CLUSTER_METADATA", json.dumps(was).encode(), True, b"cluster")


def test_a_token_that_is_wrong_is_told_with_the_way_out(cluster, tmp_path):
    code = (
        "from farm.scheduling.cluster import RayExecutor; from farm.storage import Storage; "
        f"RayExecutor(0, {cluster.address!r}, Storage({str(tmp_path)!r}))"
    )
    other = {**os.environ, "RAY_AUTH_TOKEN": "0" * 64}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=other, timeout=60)
    assert "farm.errors.FarmError: --address" in done.stderr
    assert "RAY_AUTH_TOKEN" in done.stderr.splitlines()[-1]


def test_a_node_that_dies_costs_its_tasks_and_is_forgotten(cluster, executor):
    extra = cluster.add(num_cpus=1)
    assert wait_until(lambda: extra in {node.id for node in executor.nodes})
    queue = Queue([node for node in executor.nodes if node.id == extra])
    queue.add(task("long", _sleep))
    (long,) = queue.start()
    executor.submit(long)
    assert executor.wait(3) == []
    cluster.kill(extra)
    ended = []
    assert wait_until(lambda: ended.extend(executor.wait(0.5)) or ended, seconds=40)
    assert ended[0].kind == "infrastructure"
    assert wait_until(lambda: extra not in {node.id for node in executor.nodes})


@pytest.mark.parametrize("stage", ["read", "train"])
def test_a_farm_outlives_a_node_that_dies(cluster, tmp_path, stage):
    write_farm(tmp_path)
    cluster.add(num_cpus=2)
    facts = farm_and_kill(tmp_path, "killed", cluster, stage, until="train")
    assert facts["killed"] is not None
    assert facts["failed"] == {}
    farm_once(tmp_path / "whole", tmp_path, lambda: LocalExecutor(2), until="read")
    assert facts["notes"] == {name: notes_of(tmp_path / "whole", name) for name in STYLES}
    assert set(facts["epochs"].values()) == {6}
    assert sum(facts["repeated"].values()) <= 1
