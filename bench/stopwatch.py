"""Where the time goes inside a program, measured from outside: named functions are timed while it runs.

Conventions
-----------
Time is exclusive: what one timed function spends in another counts for the other only, so that the stages and the
rest add up to the whole. A generator is timed while it works, not while it waits for its user.
"""

import functools
import importlib
import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock


class Stopwatch:
    """Collects seconds by stage in `seconds`. One thread."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inner = [0.0]  # seconds in timed functions that the running one called, one per level

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time for a stage, but for what other stages take in it."""
        self._inner.append(0.0)
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[name] += spent - self._inner.pop()
            self._inner[-1] += spent

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and counts its time for a stage."""

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            with self.stage(name):
                result = function(*arguments, **options)
            return self._steps(name, result) if inspect.isgenerator(result) else result

        return call

    def _steps(self, name: str, steps: Iterator[Any]) -> Iterator[Any]:
        while True:
            with self.stage(name):
                try:
                    value = next(steps)
                except StopIteration:
                    return
            yield value


@contextmanager
def timing(stages: Mapping[str, Sequence[str]]) -> Iterator[Stopwatch]:
    """Time functions while the block runs.

    Parameters
    ----------
    stages
        The functions of each stage, as 'package.module.function'; one that another module imports by name is named
        where it is used.
    """
    check(stages)
    watch = Stopwatch()
    with ExitStack() as patches:
        for name, functions in stages.items():
            for dotted in functions:
                owner, attribute = _find(dotted)
                timed = watch.timed(name, getattr(owner, attribute))
                patches.enter_context(mock.patch.object(owner, attribute, timed))
        yield watch


def check(stages: Mapping[str, Sequence[str]]) -> None:
    """Check that every function to be timed exists; a name that is gone would only make its stage look free."""
    gone = []
    for dotted in (dotted for functions in stages.values() for dotted in functions):
        owner, attribute = _find(dotted)
        if not callable(getattr(owner, attribute, None)):
            gone.append(dotted)
    if gone:
        raise SystemExit(f"there is no {', '.join(gone)} any more; say in STAGES what does its work now")


def _find(dotted: str) -> tuple[Any, str]:
    module, _, name = dotted.rpartition(".")
    return importlib.import_module(module), name
