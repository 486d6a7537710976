"""The command that reviews: the report in a browser, with what a person decides."""

import os
import secrets
import signal
import sys
import threading
import webbrowser
from typing import Annotated

import typer

from farm.commands.options import Artifacts, storage_at


def review(
    artifacts: Artifacts = None,
    port: Annotated[
        int | None, typer.Option(min=1024, max=65535, metavar="N", help="The port; any free one when not given.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser; the address is printed in any case.")] = True,
) -> None:
    """Look, listen, and approve, overrule or reject in the browser, on this machine only.

    Example: farm review --artifacts artifacts
    """
    from farm.composing.threads import use_one_thread

    use_one_thread()
    from farm.reviewing import Reviewing, bring_up_to_date, roll_script
    from farm.website.review.app import review_app
    from farm.website.review.guard import ENTER, Secrets
    from farm.website.review.server import listen, serve

    storage = storage_at(artifacts)
    socket = listen(port or 0)
    bring_up_to_date(storage)
    ours = Secrets(socket.getsockname()[1], secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    key = secrets.token_urlsafe(32)
    app = review_app(storage, Reviewing(storage), roll_script(), ours, key)
    address = f"{ours.origin}{ENTER}{key}"

    def ready() -> None:
        print(f"review of {storage.root}: {address}\nthe address opens once, in one browser; end with ^C", flush=True)
        if browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    number = serve(app, socket, ready)
    print("the review has ended; what was decided is kept: 'farm review' goes on from there", file=sys.stderr)
    raise typer.Exit(143 if number == signal.SIGTERM else 130)


def _has_screen() -> bool:
    """Return whether a browser has somewhere to appear; one for terminals would take this one away."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
