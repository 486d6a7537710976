"""Carries tasks out on Ray. The only module that imports it.

Ray keeps neither priorities nor a count of attempts that the farm could trust, so both stay with the farm: every task
is tried by Ray exactly once, on the machine that the queue chose, and what is submitted starts at once. Where the
machines share no folder, music is read on the one that the farm was started on, because it may lie there only.
"""

import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from farm.errors import FarmError
from farm.scheduling import ray_folders, sharing
from farm.scheduling.machines import Node
from farm.scheduling.queue import TRAINING, Outcome, Task
from farm.scheduling.ray_address import check_address
from farm.scheduling.ray_facts import lost, node_of, why_not_connected
from farm.scheduling.workers import environment_of, perform, perform_apart
from farm.storage import Storage
from farm.training.devices import list_gpus

_OBJECT_STORE_BYTES = 128 * 2**20
_LOOK_EVERY_SECONDS = 2.0
_START_SECONDS = 30.0  # for a cluster to have a machine that can work
_ANSWER_SECONDS = 60.0  # for a machine to say whether it sees the artifacts
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a task that asks for no GPU sees none
    "RAY_DEDUP_LOGS": "0",
    "RAY_task_oom_retries": "0",  # one killed for memory is tried again by the farm, which counts
    "RAY_gcs_server_request_timeout_seconds": "30",
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # how often the head is asked; each time may take that long
}


class RayExecutor:
    """Runs tasks on a Ray of this machine, started here, or on the cluster at `address`.

    Parameters
    ----------
    cpus
        CPUs of a local Ray; a cluster says itself what it has.
    storage
        The artifacts, which every machine of a cluster must see.

    Attributes
    ----------
    home : str
        The machine on which music is read; "" for any.

    Raises
    ------
    FarmError
        When Ray does not start or the cluster cannot be joined, with the way out; when a machine does not see the
        artifacts.
    """

    name = "ray"

    def __init__(self, cpus: int, address: str | None, storage: Storage) -> None:
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
        self._is_own, self._storage = address is None, storage
        self._folder: Path | None = None
        self._tasks: dict[Any, Task] = {}
        self._refused: list[Outcome] = []
        self._sighted: set[str] = set()  # machines that were found to see the artifacts
        self._looked_at = 0.0
        self._connect(cpus, address)
        try:
            self.home = ray.get_runtime_context().get_node_id() if address and storage.is_remote else ""
            self._nodes = self._wait_for_nodes()
        except BaseException:
            self.close()
            raise
        self._perform = ray.remote(max_retries=0)(perform)
        # TensorFlow keeps its memory for as long as its process lives: a training has a child of Ray's process.
        self._perform_apart = ray.remote(max_retries=0)(perform_apart)

    @property
    def nodes(self) -> Sequence[Node]:
        """The machines that are there, looked for every few seconds; FarmError when one does not see the artifacts."""
        if time.monotonic() - self._looked_at >= _LOOK_EVERY_SECONDS:
            self._nodes = self._look()
        return self._nodes

    def submit(self, task: Task) -> None:
        task = replace(task, environment=environment_of(task))
        remote = self._perform_apart if task.stage in TRAINING else self._perform
        options: dict[str, Any] = {"num_cpus": task.demand.cpus, "num_gpus": task.demand.gpus, "name": task.id}
        if task.place:
            options["scheduling_strategy"] = self._on_node(task.place.node, soft=False)
            if any(node.id == task.place.node and node.is_kept for node in self._nodes):
                options["num_cpus"] = 0  # as many as Ray was told it has
        try:
            self._tasks[remote.options(**options).remote(task)] = task
        except self._ray.exceptions.RayError as error:
            self._refused.append(lost(task, error))

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
            return lost(task, error)
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
            raise FarmError(why_not_connected(address, error)) from error
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
        memory = min((gpu.memory_mib for gpu in list_gpus()), default=0) if self._is_own else 0
        found = [node_of(facts, memory) for facts in self._alive()]
        # The head of a cluster may offer no CPU; one of its tasks at a time can read music all the same.
        kept = [Node(node.id, 1, is_kept=True) for node in found if node.id == self.home and not node.cpus]
        nodes = sorted([*(node for node in found if node.cpus), *kept], key=lambda node: node.id)
        strangers = {node.id for node in nodes} - self._sighted
        if strangers and not self._is_own:
            sharing.check_shared(self._storage, lambda call, argument: self._ask(strangers, call, argument))
            self._sighted |= strangers
        return tuple(nodes)

    def _alive(self) -> list[dict[str, Any]]:
        return [facts for facts in self._ray.nodes() if facts["Alive"]]

    def _ask(self, nodes: Collection[str], call: Callable[[str], str], argument: str) -> dict[str, str]:
        """Return by address and id what a call gives on each of the nodes, or what went wrong there."""
        remote = self._ray.remote(max_retries=0, num_cpus=0)(call)
        asked = {
            node: remote.options(scheduling_strategy=self._on_node(node, soft=False)).remote(argument) for node in nodes
        }
        self._ray.wait(list(asked.values()), num_returns=len(asked), timeout=_ANSWER_SECONDS)
        found = {}
        for facts in self._alive():  # one that has died meanwhile is asked nothing
            if facts["NodeID"] not in asked:
                continue
            try:
                answer = self._ray.get(asked[facts["NodeID"]], timeout=0)
            except (self._ray.exceptions.RayError, FarmError) as error:
                answer = str(error).strip().splitlines()[-1] or "gave no answer"
            found[f"{facts['NodeManagerAddress']} ({facts['NodeID'][:6]})"] = answer
        return found

    def _forget_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
