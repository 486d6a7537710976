"""Where a training curve goes wrong: jumps, slow divergences and whether the run came back from them.

Conventions
-----------
Series are float arrays, one value per recorded epoch, all finite, index 0 the first epoch. An event is a
half-open range of indices. Thresholds are shares of the progress so far and multiples of the noise, so that
scaling the loss changes nothing.
"""

from dataclasses import dataclass

import numpy as np

from farm.config import Selection

_NOISE_EPOCHS = 30
MAD_TO_SIGMA = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class Event:
    """One time that the loss left its best behind; `end` is None when it never came back."""

    start: int
    end: int | None
    kind: str  # jump or slow


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Return the centred running median over `width` values (odd); the ends are repeated. Empty gives empty."""
    if len(values) == 0 or width < 2:
        return values.copy()
    padded = np.pad(values, width // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)


def smoothing_width(n_epochs: int) -> int:
    """Return the odd width of the running median for a run: a fortieth of it, between 3 and 9."""
    return int(np.clip(n_epochs // 40, 3, 9)) // 2 * 2 + 1


def noise(values: np.ndarray, floor: float) -> np.ndarray:
    """Return the scatter around the trend at each epoch, from the (up to) 30 differences before it.

    Median absolute deviation of the first differences over sqrt 2, at least `floor`: at the bottom of a curve
    the deviation tends to nothing and every wiggle would count.
    """
    sigma = np.full(len(values), floor)
    if len(values) < 4:
        return sigma
    steps = np.diff(values)
    padded = np.concatenate((np.full(_NOISE_EPOCHS - 1, np.nan), steps))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _NOISE_EPOCHS)[2:]  # three differences at least
    middle = np.nanmedian(windows, axis=1, keepdims=True)
    spread = np.nanmedian(np.abs(windows - middle), axis=1) * MAD_TO_SIGMA / np.sqrt(2)
    sigma[3:] = np.maximum(spread, floor)
    return sigma


def find_events(loss: np.ndarray, first: float, rule: Selection, width: int) -> tuple[Event, ...]:
    """Return the events of a loss curve in order.

    An event begins where the loss stands above its best so far by more than `jump_share` of the progress and
    six times the noise (a jump), or the smoothed loss by more than `slow_share` and three times the noise for a
    twentieth of the run (slow). Before anything was learned only a loss half again above the first counts.
    It ends where the smoothed loss and the median of the next five are back within `recovered_share`.

    Parameters
    ----------
    loss
        Training loss, shape (n_epochs,); for an accuracy give its distance from 1.
    first
        The loss that progress is counted from.
    """
    smoothed = smooth(loss, width)
    sigma = noise(loss, 1e-3 * abs(first))
    sustained = max(3, len(loss) // 20)
    events: list[Event] = []
    best, slow_since, index = np.inf, None, 0
    while index < len(loss):
        progress, scatter = first - best, sigma[max(index - 1, 0)]
        if progress < rule.learn_share * abs(first):
            kind = "jump" if loss[index] - first > 0.5 * abs(first) and index else ""
        else:
            above = smoothed[index] - best > max(rule.slow_share * progress, 3 * scatter)
            slow_since = (index if slow_since is None else slow_since) if above else None
            kind = "jump" if loss[index] - best > max(rule.jump_share * progress, 6 * scatter) else ""
            if not kind and slow_since is not None and index - slow_since + 1 >= sustained:
                kind = "slow"
        if not kind:
            best, index = min(best, smoothed[index]), index + 1
            continue
        level = min(best, first)
        start = index if not events else max(index, events[-1].end or 0)
        if kind == "slow" or progress >= rule.learn_share * abs(first):
            near = level + max(0.03 * (first - level), 2 * scatter)
            floor = 0 if not events else (events[-1].end or 0)
            while start > floor and smoothed[start - 1] > near and loss[start - 1] > near:
                start -= 1
        if index - start > max(5, sustained):
            kind = "slow"  # it crept up on the threshold of a jump
        end = _recovery(smoothed, index, level, max(rule.recovered_share * (first - level), 3 * scatter))
        events.append(Event(start, end, kind))
        if end is None:
            break
        index, slow_since = end, None
    return tuple(events)


def _recovery(smoothed: np.ndarray, after: int, level: float, margin: float) -> int | None:
    """Return the first index past `after` from which the loss is back within `margin` of `level`."""
    for index in range(after + 1, len(smoothed)):
        if smoothed[index] <= level + margin and np.median(smoothed[index : index + 5]) <= level + margin:
            return index
    return None
