"""What to do when the device that trains fails: gone, broken or out of memory.

TensorFlow, JAX and torch each raise types of their own for it, some of them plain RuntimeErrors, so an error is known
by its type's name and its text. Every other error is a mistake of this program and stays what it is.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from farm.errors import FarmError, StyleError

_OUT_OF_MEMORY = ("resource_exhausted", "resourceexhausted", "outofmemory", "out of memory", "out_of_memory",
                  "oom when", "memoryerror", "alloc_failed", "failed to allocate", "unable to allocate")  # fmt: skip
_FAILED = ("cuda", "cudnn", "cublas", "nccl", "gpu", "dnn library", "device lost", "acceleratorerror", "hip error")
_LONGEST = 160  # characters of somebody else's message
_ANSWER_SECONDS = 20.0


class Gpu(NamedTuple):
    """A GPU of NVIDIA's."""

    id: str  # as CUDA_VISIBLE_DEVICES names it
    name: str = ""
    memory_mib: int = 0  # not known


def is_gpu_there(devices: Path = Path("/dev")) -> bool:
    """Tell whether this process may train on a GPU of NVIDIA's."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible not in ("", "-1") and any(devices.glob("nvidia[0-9]*"))


def list_gpus(devices: Path = Path("/dev")) -> list[Gpu]:
    """Return the GPUs that this process may use; without NVIDIA's own tool neither their names nor their memory."""
    if not is_gpu_there(devices):
        return []
    asked = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=True)
        rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    except (OSError, subprocess.SubprocessError):
        rows = [[path.name.removeprefix("nvidia"), "", "", ""] for path in sorted(devices.glob("nvidia[0-9]*"))]
    gpus = {index: Gpu(index, name, int(memory) if memory.isdigit() else 0) for index, _, name, memory in rows}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(gpus.values())
    index_of = {**{index: index for index in gpus}, **{uuid: index for index, uuid, _, _ in rows}}
    wanted = [index_of.get(one.strip()) for one in visible.split(",")]
    return [gpus[index] for index in wanted if index is not None]


def explain(style: str, error: Exception, epoch: int, batch_windows: int) -> StyleError | None:
    """Return what to tell when the device failed, None when it did not.

    Parameters
    ----------
    epoch
        The last whole epoch, which a new run goes on from; 0 before there is one.
    """
    if isinstance(error, FarmError):
        return None
    text = f"{type(error).__name__}: {error}"
    when = f"after epoch {epoch}" if epoch else "before the first epoch was over"
    said = " ".join(text.split())[:_LONGEST]
    if any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return StyleError(
            f"{style}: out of memory {when} ({said}); lower training.batch_windows ({batch_windows}) or "
            "network.layers, or set CUDA_VISIBLE_DEVICES=-1 where a GPU has too little"
        )
    if any(sign in text.lower() for sign in _FAILED):
        again = f"run again: it goes on from epoch {epoch}" if epoch else "run again"
        return StyleError(
            f"{style}: the GPU failed {when} ({said}); {again}; "
            "or set CUDA_VISIBLE_DEVICES=-1 to train on the processor"
        )
    return None
