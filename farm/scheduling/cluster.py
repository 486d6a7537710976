"""Carries tasks out on Ray. The only module that imports it.

Ray keeps neither priorities nor a count of attempts that the farm could trust, so both stay with the farm: every task
is tried by Ray exactly once, on the machine that the queue chose, and what is submitted starts at once.
"""

import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from farm.errors import FarmError
from farm.scheduling import ray_folders
from farm.scheduling.local import environment_of, perform
from farm.scheduling.machines import Node
from farm.scheduling.queue import TRAINING, Outcome, Task
from farm.scheduling.ray_address import check_address
from farm.training.devices import list_gpus

_OBJECT_STORE_BYTES = 128 * 2**20
_LOOK_EVERY_SECONDS = 2.0
_START_SECONDS = 30.0  # for a cluster to have a machine that can work
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a task that asks for no GPU sees none
    "RAY_DEDUP_LOGS": "0",
    "RAY_task_oom_retries": "0",  # one killed for memory is tried again by the farm, which counts
    "RAY_gcs_server_request_timeout_seconds": "30",
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # how often the head is asked; each time may take that long
}
_LABEL, _RESOURCE = "ray.io/accelerator-type", "accelerator_type:"
_ADVICE = {
    "ObjectStoreFullError": "free it, or start Ray with a larger object_store_memory",
    "OutOfDiskError": "free some disk on the machines of the cluster, where Ray puts what its object store cannot hold",
    "OutOfMemoryError": "use a recipe with smaller layers or batch_windows, or run fewer styles at once",
}


class RayExecutor:
    """Runs tasks on a Ray of this machine, started here, or on the cluster at `address`.

    Parameters
    ----------
    cpus
        CPUs of a local Ray; a cluster says itself what it has.
    shares_artifacts
        Whether every machine reaches the artifacts; a folder is on one.
    """

    name = "ray"

    def __init__(self, cpus: int, address: str | None = None, *, shares_artifacts: bool = False) -> None:
        for setting, value in _SETTINGS.items():
            os.environ.setdefault(setting, value)
        if address is None:
            # Ray listens on every interface; the token keeps strangers out of the farm's private Ray.
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        else:
            check_address(address)
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray, self._on_node = ray, NodeAffinitySchedulingStrategy
        self._is_own, self._shares_artifacts = address is None, shares_artifacts
        self._folder: Path | None = None
        self._tasks: dict[Any, Task] = {}
        self._refused: list[Outcome] = []
        self._looked_at = 0.0
        self._connect(cpus, address)
        try:
            self._nodes = self._wait_for_nodes()
        except BaseException:
            self.close()
            raise
        self._perform = ray.remote(max_retries=0)(perform)
        # TensorFlow keeps its memory for as long as its process lives, so that one serves one training only.
        self._perform_once = ray.remote(max_retries=0, max_calls=1)(perform)

    @property
    def nodes(self) -> Sequence[Node]:
        """The machines that are there, looked for every few seconds.

        Raises
        ------
        FarmError
            When there are several, and the artifacts are on one of them.
        """
        if time.monotonic() - self._looked_at >= _LOOK_EVERY_SECONDS:
            self._nodes = self._look()
        return self._nodes

    def submit(self, task: Task) -> None:
        task = replace(task, environment=environment_of(task))
        remote = self._perform_once if task.stage in TRAINING else self._perform
        options: dict[str, Any] = {"num_cpus": task.demand.cpus, "num_gpus": task.demand.gpus, "name": task.id}
        if task.place:
            options["scheduling_strategy"] = self._on_node(task.place.node, soft=False)
        try:
            self._tasks[remote.options(**options).remote(task)] = task
        except self._ray.exceptions.RayError as error:
            self._refused.append(_lost(task, error))

    def wait(self, timeout_seconds: float) -> list[Outcome]:
        """Return what has finished, waiting at most so long for the first."""
        if self._refused:
            refused, self._refused = self._refused, []
            return refused
        if not self._tasks:
            time.sleep(timeout_seconds)
            return []
        pending = list(self._tasks)
        done, rest = self._ray.wait(pending, num_returns=1, timeout=timeout_seconds)
        if rest and done:
            done += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [self._collect(reference) for reference in done]

    def close(self) -> None:
        """End this farm's Ray, or leave the cluster; nothing else that runs on the machine is touched."""
        self._ray.shutdown()
        self._forget_folder()

    def _collect(self, reference: Any) -> Outcome:
        task = self._tasks.pop(reference)
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._looked_at = 0.0  # perhaps its machine is gone
            return _lost(task, error)
        return outcome

    def _connect(self, cpus: int, address: str | None) -> None:
        """Start Ray or join a cluster; FarmError with the reason when that fails."""
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
        if address is None:
            ray_folders.remove_abandoned()
            self._folder = ray_folders.make_folder()
            options |= {"num_cpus": cpus, "object_store_memory": _OBJECT_STORE_BYTES, "_temp_dir": str(self._folder)}
            options["include_dashboard"] = False
        else:
            options["address"] = address
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._ray.init(**options)
        except Exception as error:  # Ray raises RuntimeError, ValueError, errors of its own, and plain Exception
            raise FarmError(_why_not_connected(address, error)) from error
        finally:
            if not self._ray.is_initialized():  # failed or interrupted: nobody will call `close`
                self._forget_folder()
        for number, handler in handlers.items():  # Ray's own would end the farm without a word
            signal.signal(number, handler)

    def _wait_for_nodes(self) -> tuple[Node, ...]:
        """Return the machines, once there is one that can work."""
        until = time.monotonic() + _START_SECONDS
        while not (nodes := self._look()):
            if time.monotonic() > until:
                raise FarmError(f"Ray has no machine with a CPU after {_START_SECONDS:.0f} s; see 'ray status' there")
            time.sleep(1)
        return nodes

    def _look(self) -> tuple[Node, ...]:
        self._looked_at = time.monotonic()
        alive = [facts for facts in self._ray.nodes() if facts["Alive"]]
        hosts = sorted({facts["NodeManagerHostname"] for facts in alive})
        if len(hosts) > 1 and not self._shares_artifacts:
            raise FarmError(
                f"the cluster has {len(hosts)} machines ({', '.join(hosts[:3])}), and a folder for artifacts is on one "
                "of them; name an object store that all of them reach, such as artifacts: s3://bucket/farm"
            )
        memory = min((gpu.memory_mib for gpu in list_gpus()), default=0) if self._is_own else 0
        nodes = (node_of(facts, memory) for facts in alive)
        return tuple(sorted((node for node in nodes if node.cpus), key=lambda node: node.id))

    def _forget_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def node_of(facts: Mapping[str, Any], gpu_memory_mib: int = 0) -> Node:
    """Return a machine as the queue sees it, from what Ray tells of it; Ray does not tell the memory of GPUs.

    Examples
    --------
    >>> node_of({"NodeID": "a1", "Resources": {"CPU": 8.0, "GPU": 2.0, "accelerator_type:A100": 1.0}})
    Node(id='a1', cpus=8, gpus=2, gpu_type='A100', gpu_memory_mib=0)
    """
    resources = facts["Resources"]
    named = [name.removeprefix(_RESOURCE) for name in resources if name.startswith(_RESOURCE)]
    gpu_type = facts.get("Labels", {}).get(_LABEL) or next(iter(named), "")
    gpus = int(resources.get("GPU", 0))
    return Node(facts["NodeID"], int(resources.get("CPU", 0)), gpus, gpu_type if gpus else "", gpu_memory_mib)


def _lost(task: Task, error: Exception) -> Outcome:
    """Return the outcome of a task that Ray did not bring to its end."""
    kind = type(error).__name__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [kind]
    if kind.startswith("RayTaskError"):  # the call never began: `perform` lets no exception out
        advice = "; install the same farm on every machine of the cluster" if "ModuleNotFoundError" in lines[-1] else ""
        return Outcome(task, error=f"worker cannot begin: {lines[-1]}{advice}", kind="infrastructure")
    advice = f"; {_ADVICE[kind]}" if kind in _ADVICE else ""
    return Outcome(task, error=f"worker lost: {kind}: {lines[0]}{advice}", kind="infrastructure")


def _why_not_connected(address: str | None, error: Exception) -> str:
    """Return why Ray did not start or the cluster was not joined, and what to do."""
    said = " ".join(str(error).split())[:300]
    if address is None:
        return f"Ray: cannot start ({said}); try 'farm run --executor local'"
    if "ersion mismatch" in said:
        return f"--address {address}: the cluster has another Ray or Python ({said}); install the cluster's here"
    return (
        f"--address {address}: cannot join ({said}); run the farm on a machine of the cluster, with its token "
        "in RAY_AUTH_TOKEN where it has one; jobs/cluster/ shows how"
    )
