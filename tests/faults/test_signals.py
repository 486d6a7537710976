"""SIGINT and SIGTERM: out within ten seconds, no child left, a line that says how to go on. In full: `make faults`."""

import signal

from tests.faults.signalling import stopped
from tests.faults.small_farm import make_farm


def test_a_run_that_is_interrupted_while_it_reads_and_while_it_trains(tmp_path):
    farm = make_farm(tmp_path)
    for number, stage, later_seconds in ((signal.SIGINT, "ledger", 0), (signal.SIGTERM, "base", 1)):
        _, problems = stopped(farm, number, stage, later_seconds)
        assert problems == []
