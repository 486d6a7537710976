"""Loading Keras: without its chatter, with as many threads as asked, once per process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def prepare(n_threads: int) -> str:
    """Load Keras and set its threads; return the name of its backend.

    Call it before anything else loads Keras. In a process that has trained before, the threads stay as they were.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import keras
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with suppress(RuntimeError):  # TensorFlow is running already
            tf.config.threading.set_intra_op_parallelism_threads(n_threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
    return str(keras.backend.backend())


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere: TensorFlow's libraries write to it before any setting can stop them."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
