"""What a table of metrics alone says about a run: plateau, blow-up, convergence, and which epochs are safe.

The rule is that of a person reading the curve: the good epochs lie where most of the progress is made, before
anything breaks. Best held-out loss is the wrong signal for small corpora that overfit (Yin, Reuben, Stepney and
Collins, "Measuring When a Music Generation Algorithm Copies Too Much", SN Computer Science 3:340, 2022: stopping
there gives single-note repetition); it is the right one where it levels off together with the training loss.

Conventions
-----------
Epochs are those of the table, from 1 in the farm; ranges of indices are half open. Everything is relative: a loss
in bits gives the same reading as one in nats.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from farm.config import Selection
from farm.selection.events import Event, find_events, smooth, smoothing_width
from farm.selection.metrics import Metrics
from farm.selection.plateau import HeldOut, late_gain, limit, plateau, read_heldout, roughness, unsettled

_LATER_SHARE = 0.85  # of the later progress: a region that reached less is given up for the later one
_LATER_EPOCHS_SHARE = 0.15  # of the run that the later region must last
_SPIKE_EPOCHS = 10  # a shorter trouble is a spike even where it is more than `spike_share`, up to a fifth of the run


@dataclass(frozen=True)
class Curve:
    """The reading of one run; epochs are None where there is nothing of the kind."""

    verdict: str
    metrics: Metrics
    plateau_first: int | None
    plateau_flat: int | None
    blow_up: int | None  # first epoch of the trouble that ended the region
    blow_up_kind: str  # jump, slow, nan or ""
    from_trained: bool  # the run started from trained weights
    region: tuple[int, int]  # indices of the epochs that are judged
    unsafe: tuple[tuple[int, int], ...]  # first and last epoch of spikes inside it
    safe_last: int | None  # last epoch to trust
    converged: bool
    roughness: float
    heldout: HeldOut | None
    flags: tuple[str, ...]

    @property
    def by_heldout(self) -> bool:
        """Tell whether the held-out loss, not the shoulder of the training loss, decides."""
        return self.heldout is not None and self.heldout.usable

    @property
    def target(self) -> int | None:
        """The epoch the curve asks for, whether it was kept or not; None when it asks for none."""
        if self.safe_last is None or self.verdict == "did-not-learn":
            return None
        if self.plateau_first is None:
            return self.safe_last if self.verdict == "not-converged" else None
        if self.heldout is not None and self.heldout.usable:
            # trained weights are good from the start, and what is nearer to the best has more of the style
            index = self.heldout.most if self.from_trained else self.heldout.first
            return int(self.metrics.epochs[self.region[0] + index])
        return self.plateau_first if self.converged else self.safe_last

    @property
    def turned(self) -> int | None:
        """The epoch from which a run that overfits only learns by heart: its held-out loss was at its best there.

        It is where to look first when samples can tell whether the music holds by then, which the curve cannot: on
        small corpora it often still loops. None in runs from trained weights and where the held-out loss stays down.
        """
        if self.from_trained or self.by_heldout or self.heldout is None or not self.heldout.rises:
            return None
        return int(self.metrics.epochs[self.region[0] + self.heldout.first])

    def is_safe(self, epoch: int) -> bool:
        """Tell whether weights after `epoch` are from before every blow-up, with room to spare, and not in a spike."""
        if self.safe_last is None or not int(self.metrics.epochs[self.region[0]]) <= epoch <= self.safe_last:
            return False
        return not any(first <= epoch <= last for first, last in self.unsafe)


def analyse(metrics: Metrics, rule: Selection, start_loss: float | None = None, width: int | None = None) -> Curve:
    """Return the reading of a run; one without epochs is 'not-converged' with nothing safe.

    Progress is counted from the highest of the first loss, the median of the first three and `start_loss`. The
    plateau begins at the first epoch at which loss and accuracy have both done all but `plateau_share` of their
    change, and is flat at all but `flat_share`. Where the held-out loss decides, its own plateau is told: all but
    `flat_share` of its drop done, and as good as its best.

    Parameters
    ----------
    start_loss
        Loss of an untrained network, same unit; give it for a run that starts from trained weights, whose own
        first loss is already near its last.
    width
        Of the smoothing, in epochs, odd; by the length of the run when None.
    """
    n, loss = metrics.n_recorded, metrics.loss
    nothing = Curve(
        "blew-up" if n else "not-converged", metrics, None, None, metrics.broken_epoch,
        "nan" if n else "", start_loss is not None, (0, 0), (), None, False, 0.0, None, (),
    )  # fmt: skip
    if len(loss) == 0:
        return nothing
    width = width or smoothing_width(n)
    first = max(float(loss[0]), float(np.median(loss[:3])), -math.inf if start_loss is None else start_loss)
    begin, end, kind, spikes, flags = _region(metrics, find_events(loss, first, rule, width), first, rule)
    curve = replace(
        nothing,
        region=(begin, end),
        blow_up=metrics.epoch_at(end) if kind else None,
        blow_up_kind=kind,
        unsafe=tuple((int(metrics.epochs[a]), int(metrics.epochs[b - 1])) for a, b in spikes),
        flags=flags,
    )
    if end == begin:
        return replace(curve, verdict="blew-up")
    inside, smoothed = loss[begin:end], smooth(loss[begin:end], width)
    drop = first - limit(inside)
    gained = _accuracy_gain(metrics, begin, end)
    learned = drop > 0 and (drop >= rule.learn_share * abs(first) or gained >= rule.learn_share)
    heldout = None
    if metrics.heldout is not None:
        heldout = read_heldout(metrics.heldout[begin:end], inside, start_loss, rule, width)
    rough = roughness(inside, drop)
    restless = rough > rule.rough_share or unsettled(smoothed, drop) > rule.unsettled_share
    if heldout is not None and heldout.tracks:
        converged = heldout.usable  # where it still falls with the training loss there is more to gain
    else:
        converged = len(inside) > 3 and late_gain(smoothed) <= rule.not_converged_share * drop
    safe = end - 1 - (max(1, math.ceil(rule.guard_share * n)) if kind else 0)  # the epoch after proves its weights
    plateau_first, plateau_flat = _plateau_epochs(curve, heldout, first, rule, width) if learned else (None, None)
    return replace(
        curve,
        verdict=_verdict(learned, converged, restless, kind, flags, n),
        plateau_first=plateau_first,
        plateau_flat=plateau_flat,
        safe_last=int(metrics.epochs[safe]) if safe >= begin else None,
        converged=converged,
        roughness=rough,
        heldout=heldout,
    )


def _plateau_epochs(
    curve: Curve, heldout: HeldOut | None, first: float, rule: Selection, width: int
) -> tuple[int | None, int | None]:
    """Return the epochs at which the plateau begins and is flat."""
    metrics, (begin, end) = curve.metrics, curve.region
    if heldout is not None and heldout.usable:
        return int(metrics.epochs[begin + heldout.near]), int(metrics.epochs[begin + heldout.first])
    if curve.from_trained:
        metrics = replace(metrics, accuracy=None)  # it began near its end
    shoulder, flat = (
        _band(metrics, begin, end, first, share, width) for share in (rule.plateau_share, rule.flat_share)
    )
    return shoulder, flat


def _accuracy_gain(metrics: Metrics, begin: int, end: int) -> float:
    if metrics.accuracy is None:
        return 0.0
    return float(np.max(metrics.accuracy[begin:end]) - metrics.accuracy[0])


def _band(metrics: Metrics, begin: int, end: int, first: float, share: float, width: int) -> int | None:
    """Return the epoch at which loss and accuracy have both done all but `share` of their change."""
    index = plateau(metrics.loss[begin:end], first, share, width)
    if metrics.accuracy is not None and index is not None:
        missing = 1 - metrics.accuracy
        index = max(index, plateau(missing[begin:end], float(np.max(missing[:3])), share, width) or 0)
    return None if index is None else int(metrics.epochs[begin + index])


def _region(
    metrics: Metrics, events: tuple[Event, ...], first: float, rule: Selection
) -> tuple[int, int, str, list[tuple[int, int]], tuple[str, ...]]:
    """Return the range of indices to judge, what ended it (jump, slow, nan or ""), the spikes in it, and flags.

    A short event is a spike; events that follow each other sooner than a spike is long are one. After a longer one that
    the run recovered from, the later part is judged only if it got clearly further than the earlier one and lasts; else
    the earlier part, as if it had not recovered.
    """
    loss, n = metrics.loss, metrics.n_recorded
    begin, spikes, flags = 0, [], []
    short = max(min(_SPIKE_EPOCHS, n / 5), rule.spike_share * n)
    for event in _joined(events, short):
        if event.end is not None and event.end - event.start <= short:
            spikes.append((event.start, event.end))
            flags.append(f"spike@{int(metrics.epochs[event.start])}")
            continue
        if event.end is not None and len(loss) - event.end > _LATER_EPOCHS_SHARE * n:
            earlier = first - limit(loss[begin : event.start]) if event.start > begin else 0.0
            if earlier < _LATER_SHARE * (first - limit(loss[event.end :])):
                begin, spikes = event.end, []
                flags.append(f"recovered@{int(metrics.epochs[event.end])}")
                continue
        spikes = [spike for spike in spikes if spike[0] < event.start]
        return begin, event.start, event.kind, spikes, tuple(flags)
    return begin, len(loss), "nan" if metrics.broken_epoch is not None else "", spikes, tuple(flags)


def _joined(events: tuple[Event, ...], apart: float) -> list[Event]:
    """Return the events, those less than `apart` epochs after one another as one."""
    joined: list[Event] = []
    for event in events:
        if joined and event.start - (joined[-1].end or 0) < apart:
            joined[-1] = replace(joined[-1], end=event.end)
        else:
            joined.append(event)
    return joined


def _verdict(learned: bool, levelled: bool, restless: bool, kind: str, flags: tuple[str, ...], n: int) -> str:
    """Return the class of a run."""
    if not learned and n > 3:
        return "blew-up" if kind else "did-not-learn"
    if restless:
        return "unstable"
    if kind:
        ending = {"jump": "blowup", "slow": "divergence", "nan": "nan"}[kind]
        return f"healthy-then-{ending}" if levelled else "blew-up"
    if not levelled:
        return "not-converged"
    return "blowup-and-recovery" if any(flag.startswith("recovered@") for flag in flags) else "healthy"
