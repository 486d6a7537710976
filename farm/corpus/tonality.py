"""Temporary."""
import numpy as np
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_NAMES = [f"{n} major" for n in ("C", "D-", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B")] + [f"{n} minor" for n in ("c", "c#", "d", "e-", "e", "f", "f#", "g", "g#", "a", "b-", "b")]
P = np.array([np.roll(p, t) for p in (_MAJOR, _MINOR) for t in range(12)])
P = (P - P.mean(1, keepdims=True)) / P.std(1, keepdims=True)
def keys(pitch, weight, bounds):
    n = len(bounds) - 1
    owner = np.repeat(np.arange(n), np.diff(bounds))
    w = np.bincount(owner * 12 + pitch % 12, weights=weight, minlength=12 * n).reshape(n, 12)
    best = np.argmax((w - w.mean(1, keepdims=True)) @ P.T, axis=1)
    flat = np.ptp(w, axis=1) == 0
    return [None if f else _NAMES[b] for b, f in zip(best.tolist(), flat.tolist())]
