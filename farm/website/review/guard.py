"""Who may ask the review's server for what, told from a request's head; pure.

Conventions
-----------
Everything that answers on this machine's loopback can be reached by every page of every site that the person's browser
has open, so nothing is taken on trust: the name asked for must be ours (else another site's name that points here could
read the answers), the cookie is the one that the first address was exchanged for, and whoever changes something shows
that the page asking is ours: by Origin, and by a word that no cookie carries, which only our pages can read.

A cookie belongs to a machine, not to a port: another server on this machine may be sent it. It reads with it, at most.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

HOST = "127.0.0.1"
WORD_HEADER = "x-farm-review"
READING, CHANGING = ("GET", "HEAD"), ("POST",)
ENTER = "/enter/"

_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+|/")


@dataclass(frozen=True)
class Secrets:
    """What this server knows and nobody else does.

    Attributes
    ----------
    cookie
        Sent by the browser with everything.
    word
        Sent by our own scripts with every change.
    """

    port: int
    cookie: str
    word: str

    @property
    def cookie_name(self) -> str:
        return f"farm-review-{self.port}"

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True)
class Head:
    """What the guard looks at; headers by lower-case name, in order, each as often as it was sent."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        """Return a header that was sent once; None where it is missing or ambiguous."""
        found = self.all(name)
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered: an HTTP status and a sentence for the person."""

    status: int
    why: str


STRANGER = Refusal(
    403, "This is not open to you. Open the address that 'farm review' printed; when it was used, start it again."
)


def refusal(head: Head, secrets: Secrets) -> Refusal | None:
    """Return why a request is refused, None when it may go on to its route."""
    if head.all("host") != [f"{HOST}:{secrets.port}"]:
        return Refusal(403, f"This server is {secrets.origin} and answers to no other name.")
    if not is_plain(head.path):
        return Refusal(404, "There is no such page.")
    if head.method in READING and head.path.startswith(ENTER):
        return None  # the address itself is the key, and may be opened from a terminal in a browser
    if head.one("sec-fetch-site") not in (None, "same-origin", "none") or len(head.all("sec-fetch-site")) > 1:
        return Refusal(403, "Another site asks for this page; open it by itself.")
    if not has_cookie(head, secrets):
        return STRANGER
    return refused_change(head, secrets) if head.method not in READING else None


def refused_change(head: Head, secrets: Secrets) -> Refusal | None:
    """Return why a request that is to change something is refused, given that its cookie is right."""
    if head.method not in CHANGING:
        return Refusal(405, "Nothing here answers to this method.")
    if head.one("origin") != secrets.origin or not equal(head.one(WORD_HEADER) or "", secrets.word):
        return Refusal(403, "This did not come from a page of this review; nothing was changed.")
    if head.one("content-type") != "application/json":
        return Refusal(415, "A change is sent as application/json; nothing was changed.")
    return None


def is_plain(path: str) -> bool:
    """Return whether a path, as it was sent, is spelled in the one way that we spell ours.

    Examples
    --------
    >>> is_plain("/site/styles/bach.html"), is_plain("/")
    (True, True)
    >>> is_plain("/site/../ledger"), is_plain("/site/%2e%2e/x"), is_plain("//site"), is_plain("/site/.git")
    (False, False, False, False)
    """
    return len(path) <= 500 and _PLAIN_PATH.fullmatch(path) is not None


def has_cookie(head: Head, secrets: Secrets) -> bool:
    """Return whether the browser was let in."""
    return any(equal(value, secrets.cookie) for value in _cookies(head.all("cookie"), secrets.cookie_name))


def _cookies(headers: Iterable[str], wanted: str) -> list[str]:
    pairs = (pair.strip().partition("=") for header in headers for pair in header.split(";"))
    return [value for name, _, value in pairs if name == wanted]


def equal(one: str, other: str) -> bool:
    """Return whether two secrets are equal, in a time that says nothing of either."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
