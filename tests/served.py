"""A `farm review` in a process of its own, and requests to it as no browser would send them."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

from farm.website.review.guard import WORD_HEADER

START = "from farm.cli import main; main()"


class Served:
    """A running review: where it answers, and what lets one in.

    Attributes
    ----------
    cookie, word
        As the first address gave them.
    """

    def __init__(self, artifacts, *options):
        command = [sys.executable, "-c", START, "review", "--artifacts", str(artifacts), "--no-browser", *options]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.told = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/enter/\S+)", self.told)
        assert found, self.told + self.process.stderr.read()
        self.port, self.enter = int(found[1]), found[2]
        self.address = f"http://127.0.0.1:{self.port}{self.enter}"
        self.host = f"127.0.0.1:{self.port}"
        self.cookie = self.word = ""

    def let_in(self):
        status, headers, body = self.ask("GET", self.enter)
        assert status == 200
        self.cookie = headers["set-cookie"].split(";")[0]
        self.word = re.search(rb'data-word="([^"]+)"', body)[1].decode()
        return headers

    def ask(self, method, path, headers=None, body=None):
        """Return status, headers by lower-case name, and body; nothing is added to the headers but the host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": self.host, **(headers or {})}.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None and "Content-Length" not in (headers or {}):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def raw_status(self, request, *headers):
        """Return the status that lines get which no library would send."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            lines = [request, f"Host: {self.host}", *headers, "Connection: close", "", ""]
            connection.sendall("\r\n".join(lines).encode())
            return int(connection.makefile("rb").readline().split()[1])

    def get(self, path):
        return self.ask("GET", path, {"Cookie": self.cookie})

    def ours(self, **changed):
        """Return the headers with which a page of the review changes something."""
        headers = {"Cookie": self.cookie, "Origin": f"http://{self.host}", WORD_HEADER: self.word}
        headers |= {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        return {**headers, **{name.replace("_", "-"): value for name, value in changed.items()}}

    def post(self, path, value, **changed):
        """Return status and parsed answer."""
        status, _, body = self.ask("POST", path, self.ours(**changed), json.dumps(value).encode())
        return status, json.loads(body)

    def end(self, number=signal.SIGTERM):
        """End it by a signal; return the exit code and what it said on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


def approve_under_kills(artifacts, style, n_decisions, every, seen):
    """Send decisions one after the other, and kill the server amid every so many; return the reasons acknowledged.

    Parameters
    ----------
    every
        The kill comes a little later within its decision each time, so that it meets every part of one.
    seen
        What the decisions are about.
    """
    acknowledged, n_kills, sent = [], 0, 0
    while sent < n_decisions:
        with served(artifacts) as one:
            took = 0.2  # seconds, of a decision
            for number in range(every):
                sent += 1
                why = f"decision {sent}"
                last = number == every - 1
                if last:
                    n_kills += 1
                    delay = took * (n_kills % 11 / 10) ** 2  # what lasts is written early in it
                    killer = threading.Timer(delay, one.process.kill)
                    killer.start()
                began = time.monotonic()
                try:
                    wish = {"style": style, "status": ("approved", "rejected")[sent % 2], "why": why, "seen": seen}
                    status, answer = one.post("/review/decide", wish)
                except (OSError, http.client.HTTPException):
                    break  # not acknowledged
                assert status == 200, answer
                acknowledged.append(why)
                took = time.monotonic() - began
    return acknowledged, n_kills


@contextmanager
def served(artifacts, *options):
    one = Served(artifacts, *options)
    try:
        one.let_in()
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
