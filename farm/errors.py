"""What can go wrong, as types.

Rooms raise these; only `farm.cli` prints them and chooses the exit code. A message says the place, what was
found there, and what to do about it.
"""

from collections.abc import Sequence


class FarmError(Exception):
    """A failure with a message for a person: place, what is wrong, the way out."""

    exit_code = 2


class ConfigError(FarmError):
    """One or more mistakes in corpora.yaml or a recipe; every one is listed."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class SourceError(FarmError):
    """A source of music is missing, empty or cannot be listed."""


class ReadError(FarmError):
    """One input file cannot be read; becomes the `reason` of its row in the pieces table."""

    exit_code = 1

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class StyleError(FarmError):
    """One style cannot go on (too little music, training broke); the others do."""

    exit_code = 1


class StorageError(FarmError):
    """The artifacts folder cannot be read or written: disk full, no permission, torn file."""


class DiskError(StorageError):
    """The disk, or the way to it, failed; it may go well the next time."""


class FencedError(StorageError):
    """Another attempt has taken the place of this one, which was thought dead; it must write nothing more."""


class BusyError(FarmError):
    """Another process owns the artifacts folder."""


class ChangedError(FarmError):
    """What a person decided about is not what is there now; nothing was recorded."""


class IntegrityError(FarmError):
    """A file's bytes are not those that were published."""


class LogError(FarmError):
    """A training log, or what goes with it, cannot be read as one."""
