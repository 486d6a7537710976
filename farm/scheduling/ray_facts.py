"""What Ray tells of its machines and its failures, as the queue and a person need it."""

from collections.abc import Mapping
from typing import Any

from farm.scheduling.machines import Node
from farm.scheduling.queue import Outcome, Task

_LABEL, _RESOURCE = "ray.io/accelerator-type", "accelerator_type:"
_ADVICE = {
    "ObjectStoreFullError": "free it, or start Ray with a larger object_store_memory",
    "OutOfDiskError": "free some disk on the machines of the cluster, where Ray puts what its object store cannot hold",
    "OutOfMemoryError": "use a recipe with smaller layers or batch_windows, or run fewer styles at once",
}


def node_of(facts: Mapping[str, Any], gpu_memory_mib: int = 0) -> Node:
    """Return a machine as the queue sees it, from what Ray tells of it; Ray does not tell the memory of GPUs.

    Examples
    --------
    >>> node_of({"NodeID": "a1", "Resources": {"CPU": 8.0, "GPU": 2.0, "accelerator_type:A100": 1.0}})
    Node(id='a1', cpus=8, gpus=2, gpu_type='A100', gpu_memory_mib=0, is_kept=False)
    """
    resources = facts["Resources"]
    named = [name.removeprefix(_RESOURCE) for name in resources if name.startswith(_RESOURCE)]
    gpu_type = facts.get("Labels", {}).get(_LABEL) or next(iter(named), "")
    gpus = int(resources.get("GPU", 0))
    return Node(facts["NodeID"], int(resources.get("CPU", 0)), gpus, gpu_type if gpus else "", gpu_memory_mib)


def lost(task: Task, error: Exception) -> Outcome:
    """Return the outcome of a task that Ray did not bring to its end."""
    kind = type(error).__name__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [kind]
    if kind.startswith("RayTaskError"):  # the call never began: `perform` lets no exception out
        advice = "; install the same farm on every machine of the cluster" if "ModuleNotFoundError" in lines[-1] else ""
        return Outcome(task, error=f"worker cannot begin: {lines[-1]}{advice}", kind="infrastructure")
    advice = f"; {_ADVICE[kind]}" if kind in _ADVICE else ""
    return Outcome(task, error=f"worker lost: {kind}: {lines[0]}{advice}", kind="infrastructure")


def why_not_connected(address: str | None, error: Exception) -> str:
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
