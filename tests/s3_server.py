"""Serves moto's S3 on a free port of the loopback, whose number it prints: `python tests/s3_server.py`.

One request at a time: moto's own server answers in threads and looks at an object's state before it writes, not while,
so that two conditional puts at once would both go through. S3 lets one through. It ends with its standard input, which
is with whoever started it.
"""

import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    print(server.server_port, flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.serve_forever()
