"""What a training asks of a machine: the `devices` of its recipe, and for what they leave open the machines there are.

Pure. Whoever says nothing trains on a GPU where there is one, several small networks on the same, else on processors.
"""

from collections.abc import Iterable, Sequence

from farm.config import Network, Recipe, Training
from farm.errors import FarmError
from farm.music.encoding import Encoding
from farm.scheduling.machines import Demand, Node, could_hold, describe, is_of_type
from farm.training.memory import estimate_bytes

_MOST_ON_A_GPU = 4  # trainings that share one, unless a recipe says otherwise: each also keeps a processor busy
_SMALLEST_GPU_MIB = 16_384  # taken for the memory of a GPU that does not tell it
_LIBRARIES_MIB = 1_024  # of a GPU's memory, for what CUDA and cuDNN hold beside the network
_SHOWN = 3  # styles named in a message


class DemandError(FarmError):
    """Trainings ask for what no machine has; every one is listed."""


def demand_of(recipe: Recipe, training: Training, nodes: Sequence[Node], threads: int) -> Demand:
    """Return what a training of a recipe occupies.

    Parameters
    ----------
    threads
        Processors that a training gets which trains on them, where the recipe does not say.
    """
    devices = recipe.devices
    gpu_type, memory = devices.gpu_type or "", devices.gpu_memory_mib or 0
    able = [node for node in nodes if is_of_type(node, gpu_type)]
    is_asked = any(wish is not None for wish in (devices.gpus, devices.gpu_type, devices.gpu_memory_mib))
    if devices.gpus == 0 or not (able or is_asked):
        return Demand(cpus=devices.cpus or threads)
    smallest = min((node.gpu_memory_mib for node in able if node.gpu_memory_mib), default=_SMALLEST_GPU_MIB)
    share = devices.gpus or share_of_gpu(memory or needed_mib(recipe, training), smallest)
    return Demand(devices.cpus or 1, share, gpu_type, memory)


def share_of_gpu(needed: int, there: int) -> float:
    """Return the share of a GPU for a training that needs so much of its memory, both in MiB.

    Examples
    --------
    >>> share_of_gpu(3_000, 16_384), share_of_gpu(7_000, 16_384), share_of_gpu(30_000, 16_384)
    (0.25, 0.5, 1.0)
    """
    return next((1 / n for n in (_MOST_ON_A_GPU, 2) if needed * n <= there), 1.0)


def needed_mib(recipe: Recipe, training: Training) -> int:
    """Return about how much of a GPU's memory a training takes, twice over, for the estimate is rough."""
    if not isinstance(recipe.network, Network):
        return 2 * _LIBRARIES_MIB
    n_rows = training.batch_windows * training.window_notes
    held = estimate_bytes(recipe.network, training, Encoding(has_velocity=True), n_rows, n_rows)
    return _LIBRARIES_MIB + 2 * held // 2**20


def refuse_what_no_machine_has(demands: Iterable[tuple[str, str, Demand]], nodes: Sequence[Node]) -> None:
    """Raise a DemandError with every demand that no machine can meet.

    Parameters
    ----------
    demands
        Style, recipe and what the training of it asks for.
    """
    unmet: dict[tuple[str, Demand], list[str]] = {}
    for style, recipe, demand in demands:
        if not could_hold(nodes, demand):
            unmet.setdefault((recipe, demand), []).append(style)
    if unmet:
        raise DemandError(
            "\n".join(why_unmet(recipe, demand, nodes, styles) for (recipe, demand), styles in unmet.items())
        )


def why_unmet(recipe: str, demand: Demand, nodes: Sequence[Node], styles: Sequence[str] = ()) -> str:
    """Return what a training asks for, what there is, and what to do."""
    others = f" and {len(styles) - _SHOWN} others" if len(styles) > _SHOWN else ""
    whose = f"{', '.join(styles[:_SHOWN])}{others}: " if styles else ""
    return (
        f"{whose}training by recipe {recipe} asks for {demand}; there is {describe(nodes)}; "
        "change 'devices' in the recipe or for the style, or run where there is such a machine"
    )
