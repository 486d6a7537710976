"""1,000 styles on 64 GPUs that fail, played through the very queue that runs a farm: the makespan against its bound.

Eight machines of eight GPUs and 64 processors each, and one of 64 processors beside them. A style is read, trained on a
quarter of a GPU, judged and published. How long that takes is drawn with a fixed seed: trainings between two minutes
and an hour and a half. One training in fifty fails after a part of it, and every machine with GPUs is gone twice for
some minutes; a training then goes on from its last epoch.

The bound is the least time in which anybody could do it, knowing everything: the GPUs that are there have to do all
training once, processors all the rest, publishing is one at a time, and no style is done sooner than its own steps.
What is done twice because of a failure is not in it.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from farm.scheduling.machines import Demand, Node
from farm.scheduling.queue import Task
from farm.scheduling.simulation import Outage, Span, Step, simulate

SEED = 2019
MACHINES, GPUS_EACH, CPUS_EACH = 8, 8, 64
SHARE = 0.25
EPOCH_SECONDS = 30.0
OUTAGE_SECONDS = 600.0
FAILING_SHARE = 0.02
STAGES = ("read", "train", "judge", "publish")


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    dice = random.Random(SEED)
    steps = [step for number in range(options.styles) for step in _style(f"style-{number:05}", dice)]
    nodes = [Node(f"gpu-{n}", CPUS_EACH, GPUS_EACH, "T4", 16_384) for n in range(MACHINES)] + [Node("cpu", CPUS_EACH)]
    calm = simulate(steps, nodes)
    hours = max(span.ended for span in calm)
    outages = _outages(dice, hours)
    trainings = [step.task.id for step in steps if step.task.stage == "train"]
    failing = {name: dice.random() for name in trainings if dice.random() < FAILING_SHARE}

    def fails_after(step: Step, attempt: int) -> float | None:
        share = failing.get(step.task.id) if attempt == 1 else None
        return None if share is None else share * step.seconds

    failed = simulate(steps, nodes, outages, fails_after)
    from scheduling_picture import draw

    draw(failed, outages, nodes, options.picture)
    return {
        "styles": options.styles,
        "gpus": MACHINES * GPUS_EACH,
        "rows": [_row("nothing fails", calm, steps, nodes, ()), _row("with failures", failed, steps, nodes, outages)],
    }


def _style(name: str, dice: random.Random) -> list[Step]:
    """Return the steps of a style, each after the one before."""
    training = min(max(dice.lognormvariate(7.3, 0.7), 120), 5_400)
    seconds = {"read": dice.uniform(2, 60), "train": training, "judge": dice.uniform(20, 120), "publish": 1.0}
    steps: list[Step] = []
    for stage in STAGES:
        demand = Demand(1, SHARE) if stage == "train" else Demand()
        task = Task(f"{name}/{stage}", name, stage, dict, (), demand, expected_seconds=sum(seconds.values()))
        after = (steps[-1].task.id,) if steps else ()
        steps.append(Step(task, seconds[stage], after, EPOCH_SECONDS if stage == "train" else 0))
    return steps


def _outages(dice: random.Random, seconds: float) -> list[Outage]:
    halves = (0.1, 0.4), (0.6, 0.9)
    begins = [(f"gpu-{n}", dice.uniform(*half) * seconds) for n in range(MACHINES) for half in halves]
    return [Outage(node, begin, begin + OUTAGE_SECONDS) for node, begin in begins]


def _row(
    name: str, spans: Sequence[Span], steps: Sequence[Step], nodes: Sequence[Node], outages: Sequence[Outage]
) -> dict[str, Any]:
    makespan, bound = max(span.ended for span in spans), _bound(steps, nodes, outages)
    trainings = [span for span in spans if span.task.stage == "train"]
    work = sum(step.seconds for step in steps if step.task.stage == "train")
    done = sum(span.ended - span.began for span in trainings)
    return {
        "name": name,
        "makespan_seconds": round(makespan, 1),
        "bound_seconds": round(bound, 1),
        "ratio": round(makespan / bound, 4),
        "attempts_lost": sum(not span.ok for span in trainings),
        "training_twice_share": round(done / work - 1, 4),
    }


def _bound(steps: Sequence[Step], nodes: Sequence[Node], outages: Sequence[Outage]) -> float:
    """Return the least time in which all steps can be done, machines that are gone left out."""
    gpu_work = sum(step.seconds * step.task.demand.gpus for step in steps)
    cpu_work = sum(step.seconds * step.task.demand.cpus for step in steps)
    publishing = sum(step.seconds for step in steps if step.task.stage == "publish")
    chains: dict[str, float] = {}
    for step in steps:
        chains[step.task.style] = chains.get(step.task.style, 0.0) + step.seconds
    # The first training can begin once something is read, and after the last one it has to be judged and published.
    around = min(step.seconds for step in steps if step.task.stage == "read")
    around += min(step.seconds for step in steps if step.task.stage == "judge") + 1.0
    on_gpus = around + _time_for(gpu_work, {node.id: node.gpus for node in nodes}, outages)
    return max(
        on_gpus, _time_for(cpu_work, {node.id: node.cpus for node in nodes}, outages), publishing, *chains.values()
    )


def _time_for(work: float, capacity: dict[str, int], outages: Sequence[Outage]) -> float:
    """Return when so much work is done by all machines together, as far as they are there."""
    times = sorted({0.0, *(time for one in outages for time in (one.begins, one.ends))})
    for begin, end in zip(times, [*times[1:], float("inf")], strict=True):
        gone = {one.node for one in outages if one.begins <= begin < one.ends}
        there = sum(count for node, count in capacity.items() if node not in gone)
        if there and work <= there * (end - begin):
            return begin + work / there
        work -= there * (end - begin)
    raise ValueError("the work never ends")


def print_table(facts: dict[str, Any]) -> None:
    print(
        f"gpus: {facts['styles']:,} styles on {facts['gpus']} GPUs, played through the queue; target: 5% over the bound"
    )
    print(f"  {'':<15}{'makespan':>10}{'bound':>10}{'ratio':>8}{'trainings lost':>16}{'trained twice':>15}")
    for row in facts["rows"]:
        times = f"{row['makespan_seconds'] / 60:>6.1f} min{row['bound_seconds'] / 60:>6.1f} min{row['ratio']:>8.3f}"
        print(f"  {row['name']:<15}{times}{row['attempts_lost']:>16}{row['training_twice_share']:>15.1%}")
