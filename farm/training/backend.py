"""Loading Keras: without its chatter, with as many threads and as much of a GPU as asked, once per process."""

import ctypes
import os
from contextlib import suppress

from farm.quiet import silent_stderr
from farm.training import gpu_memory

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's numbers
_ALWAYS_HEAP_BYTES, _KEPT_BYTES = 1 << 30, (1 << 31) - 1


def prepare(n_threads: int) -> str:
    """Load Keras, set its threads and limit its share of a GPU; return the name of its backend.

    Call it before anything else loads Keras. In a process that has trained before, all this stays as it was.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NPROC", str(n_threads))  # what JAX asks for its number of threads
    _keep_memory()
    gpu_memory.before_import()
    with silent_stderr():
        import keras
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with suppress(RuntimeError):  # TensorFlow is running already
            tf.config.threading.set_intra_op_parallelism_threads(n_threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            gpu_memory.limit_tensorflow(tf)
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(n_threads)
        gpu_memory.limit_torch(torch)
    return str(keras.backend.backend())


def _keep_memory() -> None:
    """Let freed memory stay with the process: every step asks for the same again, and clearing new pages costs more
    than a tenth of it. Only glibc gives it back so eagerly.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, _ALWAYS_HEAP_BYTES)
        set_option(_TRIM_THRESHOLD, _KEPT_BYTES)
