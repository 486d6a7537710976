"""Who owns a farm in a bucket: a lease, because no kernel knows of the processes on other machines.

The lease is an object with the owner's name. It is made or taken over by a conditional put, renewed while the owner
lives, and counts for `LEASE_SECONDS` from its last renewal by the store's own clock. So an owner that died blocks
nobody for longer than that, and one that was only cut off learns of it before it writes again.
"""

import contextlib
import json
import math
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

from farm.errors import BusyError, StorageError
from farm.stores.puts import Found, Puts

LEASE_SECONDS = 60.0
RENEWAL_SECONDS = 15.0
_TRIES = 3


class Lease:
    """A lease that this process has, or had.

    Parameters
    ----------
    place
        What is leased, for messages.
    """

    def __init__(self, puts: Puts, key: str, owner: str, place: str) -> None:
        self._puts, self._key, self._place = puts, key, place
        self._facts: dict[str, Any] = {"owner": owner, "token": secrets.token_hex(8), "renewals": 0}
        self._etag: str | None = None
        self._renewed_at = 0.0
        self._end = threading.Event()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Take the lease, keep it for as long as the block runs, and give it back."""
        self._take()
        renewing = threading.Thread(target=self._renew_until_end, name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._end.set()
            renewing.join()
            with contextlib.suppress(StorageError):  # not reached; the lease will be over by itself
                self._put({**self._facts, "owner": ""})

    def check(self) -> None:
        """Raise BusyError when the lease may be another's by now."""
        if not self._is_ours():
            raise BusyError(
                f"{self._place}: this farm was cut off from it for {LEASE_SECONDS:.0f} seconds, and another may own it "
                "now; nothing more is written; run the same command again"
            )

    def _take(self) -> None:
        for _ in range(_TRIES):
            found = self._puts.get(self._key)
            if found is not None and (owner := owner_of(found)):
                raise BusyError(
                    f"{self._place}: {owner} is already working in this folder; wait for it, or use another "
                    f"--artifacts (if it was killed, wait {LEASE_SECONDS - found.age_seconds:.0f} seconds)"
                )
            self._etag = found.etag if found else None
            if self._put(self._facts):
                break
        else:
            raise BusyError(f"{self._place}: others begin to work in this folder at the same time; try again")
        if self._puts.put_if(self._key, b"", None) is not None:
            raise StorageError(
                f"{self._place}: this store ignores If-None-Match, so that two farms could overwrite each other; use "
                "one that knows conditional writes"
            )

    def _renew_until_end(self) -> None:
        while not self._end.wait(RENEWAL_SECONDS) and self._is_ours():
            self._facts["renewals"] += 1  # other bytes each time, or the state before would pass for this one
            try:
                if not self._put(self._facts):
                    self._renewed_at = -math.inf  # another has taken it over
            except StorageError:
                continue  # not reached; until the lease is over it is still ours

    def _put(self, facts: dict[str, Any]) -> bool:
        """Write the lease and return whether it still was as this process left it."""
        asked_at, data = time.monotonic(), json.dumps(facts).encode()
        etag = self._puts.put_if(self._key, data, self._etag)
        found = self._puts.get(self._key) if etag is None else None
        if found is not None and str(facts["token"]).encode() in found.data:
            # as this process left it all the same: the answer to an earlier renewal was lost
            etag = self._puts.put_if(self._key, data, found.etag)
        if etag is not None:
            self._etag, self._renewed_at = etag, asked_at
        return etag is not None

    def _is_ours(self) -> bool:
        return time.monotonic() - self._renewed_at < LEASE_SECONDS


def owner_of(found: Found) -> str:
    """Return who has a lease; empty when it is free or over."""
    if found.age_seconds > LEASE_SECONDS:
        return ""
    try:
        return str(json.loads(found.data)["owner"])
    except (ValueError, KeyError, TypeError):
        return "something that is no farm"
