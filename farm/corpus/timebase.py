"""Temporary."""
import numpy as np
def time_bases(onset_beat, bounds):
    n = len(bounds) - 1
    owner = np.repeat(np.arange(n), np.diff(bounds))
    x = onset_beat * 12
    on = np.abs(x - np.rint(x)) < 0.12
    share = np.bincount(owner[on], minlength=n) / np.maximum(np.diff(bounds), 1)
    return share > 0.6, share
