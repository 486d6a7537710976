"""The review's program without a process around it: what a fault tells, and what too many requests at once get."""

import asyncio
import json
import threading

import pytest

from farm.errors import BusyError, ChangedError, FarmError, IntegrityError, StorageError
from farm.storage import Storage
from farm.website.review.app import review_app
from farm.website.review.guard import WORD_HEADER, Secrets

SECRETS = Secrets(8123, "cookie", "word")
WISH = json.dumps({"style": "hill", "notes": 10}).encode()


class Desk:
    """Does what it is given to do, whatever it is asked for."""

    def __init__(self, does):
        self.status = self.style = self.decide = self.compose = self.retrain = does


def raising(error):
    def do(*asked):
        raise error

    return Desk(do)


async def ask(app, method, path, body=b""):
    """Return status and body of one request with everything right in its head."""
    headers = {"host": "127.0.0.1:8123", "cookie": f"{SECRETS.cookie_name}=cookie", "origin": SECRETS.origin}
    headers |= {WORD_HEADER: "word", "content-type": "application/json"}
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"http_version": "1.1", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])
    sent = []

    async def receive():
        return next(parts, {"type": "http.disconnect"})

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (FarmError("hill: no"), 422, "hill: no"),
        (ChangedError("hill: another"), 409, "hill: another"),
        (BusyError("busy"), 423, "busy"),
        (StorageError("disk full"), 500, "disk full"),
        (IntegrityError("not as published"), 500, "not as published"),
        (RuntimeError("secret things"), 500, "The review failed here; its terminal says how."),
    ],
)
def test_a_failure_is_a_status_and_a_sentence_without_a_trace(tmp_path, capsys, error, status, told):
    app = review_app(Storage(tmp_path), raising(error), "", SECRETS, "key")
    for method, path, body in (("GET", "/review/status", b""), ("POST", "/review/compose", WISH)):
        found, data = asyncio.run(ask(app, method, path, body))
        assert (found, json.loads(data)) == (status, {"error": told})
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    assert ("RuntimeError: secret things" in errors) == isinstance(error, RuntimeError)


def test_one_piece_at_a_time_and_few_who_wait(tmp_path):
    go_on, at_once, most = threading.Event(), [], []

    def slow(*asked):
        at_once.append(1)
        most.append(len(at_once))
        go_on.wait(20)
        at_once.pop()
        return {}

    async def many():
        app = review_app(Storage(tmp_path), Desk(slow), "", SECRETS, "key")
        asked = [asyncio.create_task(ask(app, "POST", "/review/compose", WISH)) for _ in range(7)]
        while sum(one.done() for one in asked) < 3:
            await asyncio.sleep(0.01)
        go_on.set()
        return [status for status, _ in await asyncio.gather(*asked)]

    assert sorted(asyncio.run(many())) == [200] * 4 + [503] * 3
    assert max(most) == 1
