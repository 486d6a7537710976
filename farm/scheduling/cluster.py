"""Carries tasks out on Ray. The only module that imports it.

Ray keeps neither priorities nor a count of attempts that the farm could trust, so both stay with the farm:
every task is tried by Ray exactly once, and what is submitted is started at once. Where the machines share no folder,
music is read on the one that the farm was started on, because it may lie there only.
"""

import logging
import os
import secrets
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from farm.errors import FarmError
from farm.scheduling import ray_folders, sharing
from farm.scheduling.local import perform
from farm.scheduling.queue import TRAINING, Capacity, Outcome, Task
from farm.storage import Storage

_OBJECT_STORE_BYTES = 128 * 2**20
_ANSWER_SECONDS = 120.0


class RayExecutor:
    """Runs tasks on a Ray of this machine, started here, or on the cluster at `address`.

    Parameters
    ----------
    cpus
        CPUs of a local Ray; a cluster says itself what it has.
    storage
        The artifacts, which every machine of a cluster must see.
    """

    name = "ray"

    def __init__(self, cpus: int, address: str | None, storage: Storage) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a task that asks for no GPU sees none
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")
        if address is None:
            # Ray listens on every interface; the token keeps strangers out of the farm's private Ray.
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        import ray

        self._ray = ray
        self._folder: Path | None = None
        options: dict[str, Any] = {
            "include_dashboard": False,
            "log_to_driver": False,
            "logging_level": logging.ERROR,
            "configure_logging": True,
        }
        if address is None:
            ray_folders.remove_abandoned()
            self._folder = ray_folders.make_folder()
            options |= {"num_cpus": cpus, "object_store_memory": _OBJECT_STORE_BYTES, "_temp_dir": str(self._folder)}
        else:
            options |= {"address": address}
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            place = f"Ray at {address}" if address else "Ray"
            raise FarmError(f"{place}: cannot start ({error}); try 'farm run --executor local'") from error
        finally:
            if not ray.is_initialized():  # failed or interrupted: nobody will call `close`
                self._forget_folder()
        for number, handler in handlers.items():  # Ray's own would end the farm without a word
            signal.signal(number, handler)
        resources = ray.cluster_resources()
        self._cpus_of = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
        largest = max(self._cpus_of.values(), default=0)
        self.capacity = Capacity(int(resources.get("CPU", 1)), resources.get("GPU", 0.0), largest)
        self._perform = ray.remote(max_retries=0)(perform)
        # TensorFlow keeps its memory for as long as its process lives, so that one serves one training only.
        self._perform_once = ray.remote(max_retries=0, max_calls=1)(perform)
        self._tasks: dict[Any, Task] = {}
        self._reads_here = address is not None and storage.is_remote
        if address is not None:
            try:
                sharing.check_shared(storage, self._on_every_node)
            except BaseException:
                self.close()
                raise

    def submit(self, task: Task) -> None:
        remote = self._perform_once if task.stage in TRAINING else self._perform
        options: dict[str, Any] = {"num_cpus": task.cpus, "num_gpus": task.gpus, "name": task.id}
        if task.stage == "read" and self._reads_here:
            node = self._ray.get_runtime_context().get_node_id()
            cpus = min(task.cpus, self._cpus_of[node])  # a head may offer none
            options |= {"num_cpus": cpus, "scheduling_strategy": self._only_on(node)}
        reference = remote.options(**options).remote(task)
        self._tasks[reference] = task

    def wait(self, timeout_seconds: float) -> list[Outcome]:
        """Return what has finished, waiting at most so long for the first."""
        if not self._tasks:
            return []
        done, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=timeout_seconds)
        outcomes = []
        for reference in done:
            task = self._tasks.pop(reference)
            try:
                outcomes.append(self._ray.get(reference))
            except self._ray.exceptions.RayError as error:
                first_line = str(error).strip().splitlines()[0]
                outcomes.append(Outcome(task, error=f"worker lost: {first_line}", kind="infrastructure"))
        return outcomes

    def _on_every_node(self, call: Callable[[str], str], argument: str) -> dict[str, str]:
        """Return by address and id what a call gives on each node, or what went wrong there."""
        remote = self._ray.remote(max_retries=0, num_cpus=0)(call)
        asked = {
            f"{node['NodeManagerAddress']} ({node['NodeID'][:6]})": remote.options(
                scheduling_strategy=self._only_on(node["NodeID"])
            ).remote(argument)
            for node in self._ray.nodes()
            if node["Alive"]
        }
        self._ray.wait(list(asked.values()), num_returns=len(asked), timeout=_ANSWER_SECONDS)
        found = {}
        for node, reference in asked.items():
            try:
                found[node] = self._ray.get(reference, timeout=0)
            except (self._ray.exceptions.RayError, FarmError) as error:
                found[node] = str(error).strip().splitlines()[-1] or "gave no answer"
        return found

    def _only_on(self, node: str) -> Any:
        return self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)

    def close(self) -> None:
        """End this farm's Ray, and nothing else that runs on the machine."""
        self._ray.shutdown()
        self._forget_folder()

    def _forget_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
