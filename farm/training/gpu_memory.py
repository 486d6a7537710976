"""How much of a GPU's memory a training may take, so that several share one: set before a backend starts.

Conventions
-----------
The environment of the process says it, because a backend has to be told before it first looks at a GPU: MEMORY_MIB the
MiB, or SHARE the share of all there is. Who says neither takes what it needs, and no more.
"""

import os
from collections.abc import Mapping
from typing import Any

from farm.training.devices import Gpu, is_gpu_there, list_gpus

MEMORY_MIB, SHARE = "FARM_GPU_MEMORY_MIB", "FARM_GPU_SHARE"


def limit_of(environment: Mapping[str, str], gpu: Gpu) -> int | None:
    """Return how many MiB of a GPU a training may take, None for what it needs.

    Examples
    --------
    >>> limit_of({SHARE: "0.25"}, Gpu("0", "H100", 81_559)), limit_of({MEMORY_MIB: "4096"}, Gpu("0"))
    (20389, 4096)
    >>> limit_of({SHARE: "0.25"}, Gpu("0")), limit_of({}, Gpu("0", "H100", 81_559))
    (None, None)
    """
    if given := environment.get(MEMORY_MIB):
        return int(given)
    share = float(environment.get(SHARE, 1))
    return int(share * gpu.memory_mib) or None if share < 1 else None


def before_import() -> None:
    """Say it to the backends that ask the environment: JAX its share, and all that they must not take everything."""
    if not is_gpu_there():
        return
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    gpu = _first_gpu()
    limit = limit_of(os.environ, gpu)
    if limit and gpu.memory_mib:
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{min(limit / gpu.memory_mib, 1):.4f}"
    else:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def limit_tensorflow(tensorflow: Any) -> None:
    """Limit TensorFlow's memory on the GPU that it trains on; RuntimeError when it is running already."""
    gpus = tensorflow.config.list_physical_devices("GPU")
    limit = limit_of(os.environ, _first_gpu()) if gpus else None
    if limit:
        part = tensorflow.config.LogicalDeviceConfiguration(memory_limit=limit)
        tensorflow.config.set_logical_device_configuration(gpus[0], [part])


def limit_torch(torch: Any) -> None:
    """Limit torch's memory on the GPU that it trains on."""
    limit = limit_of(os.environ, _first_gpu()) if torch.cuda.is_available() else None
    if limit:
        there = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(limit * 2**20 / there, 1.0), 0)


def _first_gpu() -> Gpu:
    """Return the GPU that a training takes, the first that it sees."""
    return next(iter(list_gpus()), Gpu("0"))
