"""The picture of a simulated farm: who was on which GPU when, and how many GPUs were busy."""

from collections.abc import Sequence
from pathlib import Path

from farm.scheduling.machines import Node
from farm.scheduling.simulation import Outage, Span


def draw(spans: Sequence[Span], outages: Sequence[Outage], nodes: Sequence[Node], file: Path) -> None:
    """Write a PNG: a row per GPU with its trainings, lost ones and machines that are gone marked; below, how busy."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = {name: index for index, name in enumerate((n.id, g) for n in nodes for g in range(n.gpus))}
    figure, (above, below) = pyplot.subplots(
        2, 1, figsize=(9, 6), sharex=True, height_ratios=(4, 1), layout="constrained"
    )
    trainings = [span for span in spans if span.task.stage == "train" and span.task.place]
    for ok, colour, label in ((True, "#3b6ea5", "training"), (False, "#d1495b", "training that a failure ended")):
        chosen = [span for span in trainings if span.ok is ok]
        places = [rows[span.task.place.node, span.task.place.gpus[0]] for span in chosen if span.task.place]
        lengths = [(span.ended - span.began) / 60 for span in chosen]
        begun = [span.began / 60 for span in chosen]
        above.barh(places, lengths, left=begun, height=0.9, color=colour, alpha=0.3, label=label, linewidth=0)
    for number, one in enumerate(outages):
        here = [row for (node, _), row in rows.items() if node == one.node]
        low, label = min(here) - 0.5, "machine gone" if number == 0 else None
        width = (one.ends - one.begins) / 60
        above.broken_barh([(one.begins / 60, width)], (low, len(here)), color="#555555", alpha=0.5, label=label)
    above.set(ylabel="GPU", ylim=(-0.5, len(rows) - 0.5), title=f"{len({s.task.style for s in spans}):,} styles")
    above.legend(loc="lower left", fontsize="small")
    changes = sorted(
        change
        for span in trainings
        for change in ((span.began, span.task.demand.gpus), (span.ended, -span.task.demand.gpus))
    )
    busy, times, levels = 0.0, [0.0], [0.0]
    for time, change in changes:
        busy += change
        times.append(time / 60)
        levels.append(busy)
    below.step(times, levels, where="post", color="#3b6ea5")
    below.set(xlabel="minutes", ylabel="GPUs busy", ylim=(0, len(rows) * 1.05))
    figure.savefig(file, dpi=100, metadata={"Software": None})
    pyplot.close(figure)
