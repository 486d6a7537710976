"""What machines have and what tasks occupy of them: whether one fits, and on which GPU. Pure.

Conventions
-----------
A GPU is shared out in ten-thousandths, as Ray does it; so four quarters make a whole. Memory is that of GPUs, in MiB; 0
where it is not known, and then only shares are counted. A task is on one machine, whatever it occupies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WHOLE = 10_000


@dataclass(frozen=True)
class Node:
    """What one machine has, as the executor that works on it tells it; its GPUs are all alike."""

    id: str
    cpus: int
    gpus: int = 0
    gpu_type: str = ""  # a name such as 'H100', or a longer one with that word in it
    gpu_memory_mib: int = 0  # of each
    is_kept: bool = False  # for what asks for this machine by name


@dataclass(frozen=True)
class Demand:
    """What a task occupies for as long as it runs."""

    cpus: int = 1
    gpus: float = 0  # a share of one, or several whole ones
    gpu_type: str = ""  # any
    gpu_memory_mib: int = 0  # of each GPU; 0 for as much of its memory as of the GPU
    node: str = ""  # the machine that it has to be; any

    def __str__(self) -> str:
        parts = [f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"]
        if self.gpus:
            count = f"{self.gpus:g} GPUs" if self.gpus > 1 else "a GPU" if self.gpus == 1 else f"{self.gpus:g} of a GPU"
            parts.append(count + (f" of type {self.gpu_type}" if self.gpu_type else ""))
        if self.gpu_memory_mib:
            parts.append(f"{self.gpu_memory_mib} MiB of its memory")
        return ", ".join(parts)


@dataclass(frozen=True)
class Place:
    """Where a task was put: the machine, its GPUs counted from 0, and what of each one's memory it may take."""

    node: str
    gpus: tuple[int, ...] = ()
    gpu_memory_mib: int = 0


class Room:
    """What of a machine is free."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.cpus = node.cpus
        self._shares = [_WHOLE] * node.gpus
        self._memories = [node.gpu_memory_mib] * node.gpus

    def find(self, demand: Demand) -> Place | None:
        """Return where on this machine a task fits, None where it does not.

        A share goes to the fullest GPU that has it, so that whole ones stay free.
        """
        node = self.node
        if demand.node not in ("", node.id) or (node.is_kept and not demand.node):
            return None
        if demand.cpus > self.cpus or (demand.gpus and not is_of_type(node, demand.gpu_type)):
            return None
        if not demand.gpus:
            return Place(node.id)
        share, memory = _share(demand), _memory(demand, node)
        free = [
            (left, index)
            for index, left in enumerate(self._shares)
            if left >= share and (not node.gpu_memory_mib or self._memories[index] >= memory)
        ]
        count = max(1, round(demand.gpus))
        if len(free) < count:
            return None
        return Place(node.id, tuple(sorted(index for _, index in sorted(free)[:count])), memory)

    def take(self, demand: Demand, place: Place) -> None:
        self._book(demand, place, 1)

    def give_back(self, demand: Demand, place: Place) -> None:
        self._book(demand, place, -1)

    def tightness(self, place: Place) -> tuple[int, ...]:
        """Return how little a place leaves of what is scarce; the smallest is the best place.

        Shares are packed together, and what needs no GPU goes where there is none, then where most CPUs are free.
        """
        if place.gpus:
            return (sum(self._shares[index] for index in place.gpus), self.cpus)
        return (self.node.gpus, -self.cpus)

    def _book(self, demand: Demand, place: Place, sign: int) -> None:
        self.cpus -= sign * demand.cpus
        for index in place.gpus:
            self._shares[index] -= sign * _share(demand)
            self._memories[index] -= sign * place.gpu_memory_mib


def is_of_type(node: Node, gpu_type: str) -> bool:
    """Tell whether a machine has GPUs of a type; "" is any.

    Examples
    --------
    >>> is_of_type(Node("a", 8, 1, "NVIDIA H100 80GB HBM3"), "h100"), is_of_type(Node("a", 8, 1, "A100"), "H100")
    (True, False)
    >>> is_of_type(Node("a", 8), "")
    False
    """
    words = {node.gpu_type.lower(), *re.split(r"[\s-]+", node.gpu_type.lower())}
    return node.gpus > 0 and (not gpu_type or gpu_type.lower() in words)


def could_hold(nodes: Sequence[Node], demand: Demand) -> bool:
    """Tell whether a task fits any of the machines when nothing else is on it."""
    return any(Room(node).find(demand) is not None for node in nodes)


def describe(nodes: Sequence[Node]) -> str:
    """Return what the machines have, those that are alike together.

    Examples
    --------
    >>> describe([Node("a", 8, 2, "A100"), Node("b", 2), Node("c", 2)])
    '1 machine with 8 CPUs and 2 GPUs of type A100, 2 machines with 2 CPUs and no GPU'
    """
    kinds: dict[str, int] = {}
    for node in nodes:
        gpus = f"{node.gpus} GPU{'s' if node.gpus > 1 else ''}" if node.gpus else "no GPU"
        gpus += f" of type {node.gpu_type}" if node.gpus and node.gpu_type else ""
        gpus += f" with {node.gpu_memory_mib} MiB" if node.gpus and node.gpu_memory_mib else ""
        kind = f"{node.cpus} CPU{'s' if node.cpus > 1 else ''} and {gpus}"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{n} machine{'s' if n > 1 else ''} with {kind}" for kind, n in kinds.items()) or "no machine"


def _share(demand: Demand) -> int:
    return _WHOLE if demand.gpus >= 1 else round(demand.gpus * _WHOLE)


def _memory(demand: Demand, node: Node) -> int:
    """Return what of each GPU's memory a task may take on a machine, 0 where that is not known."""
    return demand.gpu_memory_mib or node.gpu_memory_mib * _share(demand) // _WHOLE
