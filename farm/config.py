"""What recipes and the sources of corpora.yaml may say, as types; `farm.config_file` reads them.

Conventions
-----------
Keys carry their units. A recipe is one training job's settings; `training:` in corpora.yaml overrides single
keys of its training section for one style. A recipe's `base` overrides single keys of `training` for the network that
is trained first on all styles together, its `from_base` for a run that starts from such a network.
"""

import hashlib
import json
import math
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

BASE = "base"
"""What the common base is called wherever a style could stand; no style has this name."""
NONE = "none"  # what runs start from that start from nothing
BASE_KINDS = ("lstm",)  # networks that can start from another one
BASE_TRAINING: dict[str, Any] = {"max_minutes": 8, "max_epochs": 1000}
FROM_BASE_TRAINING: dict[str, Any] = {"learning_rate": 0.001}
FROM_BASE_NOTES = 60_000  # a style of more notes learns faster from a base than its recipe's `from_base` says
STYLE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """A section in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class MisplacedError(ValueError):
    """A value that is wrong beside another; `at` is the place of its key below the section that was checked."""

    def __init__(self, at: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.at = at


class Network(Strict):
    """The farm's own network: one event per note, with time, pitch and duration."""

    kind: Literal["lstm"] = "lstm"
    embedding: Annotated[int, Field(ge=8, le=2048)] = 128
    layers: Annotated[list[Annotated[int, Field(ge=8, le=4096)]], Field(min_length=1, max_length=8)] = [256, 256]
    head: Annotated[int, Field(ge=8, le=4096)] = 144
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class PitchTokens(Strict):
    """The network of the original hobby programs, to compare with: one token per pitch or chord, one target per window.

    Of the training section it heeds the keys of `PITCH_TOKENS_HEED`; `window_notes` counts tokens.
    """

    kind: Literal["pitch-tokens"]
    layers: Annotated[list[Annotated[int, Field(ge=8, le=4096)]], Field(min_length=1, max_length=8)] = [512, 256]
    dense: Annotated[int, Field(ge=8, le=4096)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    batch_norm: bool = True
    optimizer: Literal["adam", "rmsprop"] = "adam"


PITCH_TOKENS_HEED = frozenset(
    ("window_notes", "batch_windows", "learning_rate", "heldout_share", "max_epochs", "max_minutes")
)


def _kind(network: Any) -> Any:
    """Return the kind that a network section names; the farm's own where it names none."""
    return network.get("kind", "lstm") if isinstance(network, dict) else getattr(network, "kind", "lstm")


AnyNetwork = Annotated[
    Annotated[Network, Tag("lstm")] | Annotated[PitchTokens, Tag("pitch-tokens")],
    Discriminator(
        _kind,
        custom_error_type="unknown_kind",
        custom_error_message="input should be 'lstm' or 'pitch-tokens'",
    ),
]
"""The network section of a recipe, of the class that its `kind` names."""


class Training(Strict):
    """How a recipe's network is trained."""

    window_notes: Annotated[int, Field(ge=8, le=4096)] = 128
    batch_windows: Annotated[int, Field(ge=1, le=4096)] = 16
    epoch_notes: Annotated[int, Field(ge=64)] | None = None  # about so many make an epoch; null: the whole corpus
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    average_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    transpose_down_semitones: Annotated[int, Field(ge=0, le=24)] = 5
    transpose_up_semitones: Annotated[int, Field(ge=0, le=24)] = 6
    heldout_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    max_epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    max_minutes: Annotated[float, Field(gt=0)] = 60
    patience_epochs: Annotated[int, Field(ge=1)] = 8


class Selection(Strict):
    """The rule that picks the epoch; every threshold that a verdict depends on.

    A share is of the progress the loss has made (from its start to its best so far) unless said otherwise.
    """

    # the training curve
    plateau_share: Share = 0.20  # what is left to gain where the shoulder (the plateau's first epoch) begins
    flat_share: Share = 0.05  # and where it is flat
    jump_share: Share = 0.15  # lost at once: a blow-up begins
    slow_share: Share = 0.08  # lost for a twentieth of the run: a slow divergence
    recovered_share: Share = 0.05  # won back to within this: the blow-up is over
    learn_share: Share = 0.10  # of the first loss: less progress is no learning
    spike_share: Share = 0.04  # of the run: a blow-up over sooner is only a spike
    guard_share: Share = 0.02  # of the run: how far before a blow-up a snapshot is still trusted
    rough_share: Share = 0.04  # scatter from epoch to epoch of a run that never settles
    unsettled_share: Share = 0.15  # of the epochs well above their best: the same
    not_converged_share: Share = 0.05  # still gained in the last quarter
    # when the held-out loss is a signal: it fell with the training loss and stayed down
    heldout_rise_share: Share = 0.05  # risen again after its best
    heldout_gap_share: Share = 0.25  # training loss below held-out loss at the end
    heldout_margin_share: Share = 0.005  # as good as its best
    creep_share: Share = 0.01  # of the loss per ten epochs: creeping on, but levelled
    learning_share: Share = 0.04  # of the loss per ten epochs: more is still learning
    # the samples
    loop_distinct4: Share = 0.25  # fewer distinct 4-grams is looping
    loop_notes_share: Share = 0.30  # of the notes in loops, where no people's level is known
    copy_floor_notes: Annotated[int, Field(ge=1)] = 12  # a shorter quote of the corpus is never called copying
    copy_ceiling_notes: Annotated[int, Field(ge=1)] = 40  # where people quote as much, that says nothing
    # how sure
    replicas: Annotated[int, Field(ge=1, le=1000)] = 27


class Samples(Strict):
    """What every snapshot is asked to compose before it is judged."""

    count: Annotated[int, Field(ge=1, le=1000)] = 4
    notes: Annotated[int, Field(ge=16, le=100_000)] = 200
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95


class Devices(Strict):
    """What a training occupies, part of no key: sums over another number of threads differ in their last bits only."""

    gpus: Annotated[float, Field(ge=0, le=1)] | None = None  # share of one; null: of one where there is any; 0: none
    gpu_type: Annotated[str, Field(min_length=1)] | None = None  # as the machines name it, such as H100; null: any
    gpu_memory_mib: Annotated[int, Field(ge=256)] | None = None  # null: of its memory as much as of the GPU
    cpus: Annotated[int, Field(ge=1)] | None = None  # null: those of a machine shared out among the trainings

    @model_validator(mode="after")
    def _with_gpu(self) -> "Devices":
        for name in ("gpu_type", "gpu_memory_mib"):
            if self.gpus == 0 and getattr(self, name) is not None:
                raise MisplacedError((name,), "has no meaning with gpus: 0; remove one of the two")
        return self


class Recipe(Strict):
    """What one training job is; `base` and `from_base` hold keys of `training`, `base` null for no base."""

    recipe: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "compact"
    network: AnyNetwork = Network()
    training: Training = Training()
    base: dict[str, Any] | None = {}
    from_base: dict[str, Any] = {}
    selection: Selection = Selection()
    samples: Samples = Samples()
    devices: Devices = Field(default=Devices(), exclude=True)

    @model_validator(mode="after")
    def _heeded(self) -> "Recipe":
        """Refuse a training key that this kind of network would pass over; one that is off or as by default is fine."""
        if isinstance(self.network, PitchTokens):
            for name, about in Training.model_fields.items():
                value = getattr(self.training, name)
                if name not in PITCH_TOKENS_HEED and value not in (about.default, 0):
                    raise MisplacedError(("training", name), "has no meaning for network.kind pitch-tokens; remove it")
        return self

    @property
    def has_base(self) -> bool:
        """Tell whether a run of this recipe can start from a base."""
        return self.base is not None and self.network.kind in BASE_KINDS

    @property
    def training_of_base(self) -> Training:
        """How the base itself is trained."""
        return Training.model_validate({**self.training.model_dump(), **BASE_TRAINING, **(self.base or {})})

    @property
    def training_from_base(self) -> Training:
        """How a run is trained that starts from a base, in a style of at most FROM_BASE_NOTES notes."""
        return Training.model_validate({**self.training.model_dump(), **FROM_BASE_TRAINING, **self.from_base})

    def training_from_base_with(self, notes: int) -> Training:
        """Return how a run is trained that starts from a base, in a style of so many notes.

        Much music of its own bears larger steps: the rate grows with the square root of the notes, up to the rate
        of a run that starts from nothing.
        """
        training = self.training_from_base
        grown = training.learning_rate * math.sqrt(max(notes / FROM_BASE_NOTES, 1))
        rate = max(min(grown, self.training.learning_rate), training.learning_rate)
        return training.model_copy(update={"learning_rate": rate})


class Source(Strict):
    """Where a style's music comes from: exactly one of music21, folder, archive."""

    music21: str | None = None
    folder: str | None = None
    archive: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    match: str = "*"
    limit: Annotated[int, Field(ge=1)] | None = None
    licence: str = "unknown"
    attribution: str = ""
    url: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> "Source":
        if sum(value is not None for value in (self.music21, self.folder, self.archive)) != 1:
            raise ValueError("a source needs exactly one of 'music21', 'folder' or 'archive'")
        return self

    @property
    def name(self) -> str:
        """The source as the pieces table names it, such as 'music21: bach'."""
        kind = next(kind for kind in ("music21", "folder", "archive") if getattr(self, kind) is not None)
        return f"{kind}: {getattr(self, kind)}"


class Filters(Strict):
    """Which notes of a style's pieces, and which of its pieces, are music to learn from.

    What is off by default could cost somebody music: folk tunes of twenty seconds, lullabies, pieces that end in rests.
    """

    # notes
    tracks: Literal["all", "piano", "melody"] = "all"  # piano: programs 0-7; melody: the line on top
    drums: Literal["drop", "keep"] = "drop"  # kept in the tables; no network hears them
    # pieces, measured after that
    min_notes: Annotated[int, Field(ge=1)] = 16
    min_seconds: Annotated[float, Field(ge=0)] | None = None
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    min_notes_per_second: Annotated[float, Field(ge=0)] | None = None
    max_notes_per_second: Annotated[float, Field(gt=0)] | None = None
    max_silence_seconds: Annotated[float, Field(gt=0)] | None = None  # longest stretch with nothing sounding


def digest(value: Any) -> str:
    """Return a hash of plain data (pydantic models included), the same on every machine."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
