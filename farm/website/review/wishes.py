"""What the review's pages may ask for, as types: a decision, a piece, another training. Strict, and bounded in size."""

import json
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from farm.errors import FarmError

MAX_BODY_BYTES = 16_384
MAX_NOTES = 4000
MAX_BARS = 400


def _writable(text: str) -> str:
    """Return a text that can be written as UTF-8; JSON may hold half characters, which cannot."""
    text.encode()
    return text


_Text = Annotated[str, Field(max_length=2000), AfterValidator(_writable)]
_Style = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_writable)]
_Seen = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class _Wish(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    style: _Style


class Decision(_Wish):
    """What a person decided about what the page showed, which `seen` names; `epoch` overrules the picked one."""

    status: Literal["approved", "rejected"]
    why: _Text
    although: _Text = ""
    epoch: Annotated[int, Field(ge=1, le=10**6)] | None = None
    seen: _Seen


class Piece(_Wish):
    """A piece to compose, as `farm compose` takes it; one of `notes` and `bars`."""

    notes: Annotated[int, Field(ge=1, le=MAX_NOTES)] | None = None
    bars: Annotated[int, Field(ge=1, le=MAX_BARS)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**53)] = 0
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    transpose: Annotated[int, Field(ge=-127, le=127)] = 0
    tempo_bpm: Annotated[float, Field(ge=4, le=1000)] | None = None


class Retraining(_Wish):
    """Another training by the next run, or with `take_back` no other one after all."""

    why: _Text = ""
    take_back: bool = False


class Desk(Protocol):
    """What the farm does for the review's pages. All raise FarmError where they refuse, and take plain data."""

    def status(self) -> dict[str, Any]:
        """Return how far every style is, and what is at work now."""

    def style(self, name: str) -> dict[str, Any]:
        """Return what can be decided about a style: model, epochs, what waits."""

    def decide(self, decision: Decision) -> dict[str, Any]:
        """Record a decision; ChangedError where the model is not the one that was seen."""

    def compose(self, piece: Piece) -> dict[str, Any]:
        """Return a composed piece: notes, facts, the MIDI file."""

    def retrain(self, wish: Retraining) -> dict[str, Any]:
        """Ask the next run for another training."""


_Kind = TypeVar("_Kind", bound=_Wish)


def read_wish(kind: type[_Kind], data: bytes) -> _Kind:
    """Return what a request's body asks for; FarmError, with each field that is wrong, where it is none."""
    try:
        return kind.model_validate(json.loads(data))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'request'}: {one['msg']}" for one in error.errors()]
        raise FarmError(f"{'; '.join(problems)}. Nothing was changed.") from error
    except (ValueError, RecursionError) as error:
        raise FarmError("The request is no JSON; nothing was changed.") from error
