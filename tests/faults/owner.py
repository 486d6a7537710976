"""Owns an artifacts folder: says `ready`, waits for a line, says `owner` or `busy`, and waits again."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from farm.errors import BusyError  # the path comes first
from farm.scheduling.ledger import owned
from farm.storage import Storage


def main() -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with owned(Storage(sys.argv[1])):
            print("owner", flush=True)
            sys.stdin.readline()
    except BusyError as error:
        print(f"busy {error}", flush=True)


if __name__ == "__main__":
    main()
