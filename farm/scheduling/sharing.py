"""Whether the machines of a cluster see one place of artifacts: asked before anything runs there.

A token is written, and every machine is asked to read it back. So a folder that only some of them have, a bucket that
some may not read and a machine without the farm are all told before an hour of work is lost.
"""

import secrets
from collections.abc import Callable, Mapping

from farm import layout
from farm.errors import FarmError
from farm.storage import Storage


def read_token(home: str) -> str:
    """Return the token that a machine finds in the artifacts at `home`; empty when there is none."""
    storage = Storage(home)
    return storage.read_bytes(layout.TOKEN).decode() if storage.exists(layout.TOKEN) else ""


def check_shared(storage: Storage, ask: Callable[[Callable[[str], str], str], Mapping[str, str]]) -> None:
    """Raise FarmError when any machine does not see what was just written.

    Parameters
    ----------
    ask
        Makes a call on every machine; by machine what it returned, or what went wrong.
    """
    token = secrets.token_hex(16)
    storage.write_bytes(layout.TOKEN, token.encode())
    found = ask(read_token, storage.home)
    storage.delete(layout.TOKEN)
    if told := blind(found, token):
        way_out = (
            "give every machine the same AWS settings and 'music-model-farm[s3]'"
            if storage.is_remote
            else "share that folder at the same path between all machines, or use --artifacts s3://bucket/prefix"
        )
        raise FarmError("\n  ".join([f"{storage.home}: not every machine of the cluster sees it; {way_out}", *told]))


def blind(found: Mapping[str, str], token: str) -> list[str]:
    """Return a line for every machine that did not find the token, with what it found instead.

    Examples
    --------
    >>> blind({"10.0.0.1": "f00d", "10.0.0.2": "", "10.0.0.3": "no module named farm"}, "f00d")
    ['10.0.0.2: sees an empty place', '10.0.0.3: no module named farm']
    """
    return [f"{node}: {text or 'sees an empty place'}" for node, text in sorted(found.items()) if text != token]
