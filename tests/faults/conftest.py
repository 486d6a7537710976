"""What the fault tests share: one run that nothing happened to."""

import threading

import pytest

from farm.status import status_facts, status_lines
from farm.storage import Storage
from tests.faults import killing


@pytest.fixture(scope="session")
def unkilled(tmp_path_factory):
    """A farm that ran to its end, while its status was asked for all the time; `answers` are what was told."""
    folder = tmp_path_factory.mktemp("unkilled")
    answers, ended = [], threading.Event()

    def ask():
        while not ended.wait(0.1):
            facts = status_facts(Storage(folder / "artifacts"), with_rejects=True)
            answers.append((facts["running"], "\n".join(status_lines(facts))))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        found = killing.run_unkilled(folder)
    finally:
        ended.set()
        asking.join()
    return found, answers
