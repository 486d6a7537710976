"""One thread for numpy's products: they are small here, and threads that wait for each other cost more than they bring.

On a busy machine a second thread made composing eight times slower. One thread also adds up in one order, whatever the
number of cores.
"""

import os

_SETTINGS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def use_one_thread() -> None:
    """Ask numpy's library of products for one thread; it listens only before numpy is loaded. What is set stays."""
    for name in _SETTINGS:
        os.environ.setdefault(name, "1")
