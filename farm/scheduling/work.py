"""What is to be done, as plain data that travels to a worker: one style with its recipes, one base with its styles.

Conventions
-----------
`start` says what a style's runs start from: 'none', 'base' (the farm's common one) or the path of a base file. The
digest of a start is that of its weights, 'none' without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from farm.catalog.entry import strictest
from farm.config import BASE, NONE, Recipe, digest
from farm.farm_config import Style
from farm.storage import Fence, Storage

# Raised by hand when a stage would give another result for the same inputs; `samples` when the same weights would
# compose otherwise, `measures` when the same notes would be measured otherwise: what was composed is kept.
CODE_VERSIONS = {
    **{"read": 2, "baseline": 2, "base": 2, "train": 5, "judge": 5, "publish": 3},
    **{"samples": 2, "measures": 2},
}

ASKED = "trainings asked for"
"""Names, among what a training depends on, how many a person asked for beyond the first; missing for none."""


@dataclass(frozen=True)
class Work:
    """A style as the stages see it. Training and judging see one recipe; the others are beside it in `others`."""

    style: str
    settings: Style
    recipe: Recipe
    seed: int
    root: str
    threads: int = 1
    others: tuple[Recipe, ...] = ()
    start: str = NONE
    file_digest: str = NONE  # of the weights in the base file that `start` names
    fence: Fence | None = None  # of the attempt at a task that this was handed to
    asked: Mapping[str, int] = field(default_factory=dict)  # by recipe, trainings a person asked for beyond the first

    def storage(self) -> Storage:
        """Return the artifacts folder, as this attempt may write to it."""
        return Storage(self.root, self.fence)

    @property
    def training_seed(self) -> int:
        """The seed of the recipe's training: the farm's, or as many after it as trainings were asked for."""
        return self.seed + self.asked.get(self.recipe.name, 0)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        return (self.recipe, *self.others)

    def alone(self, recipe: str) -> "Work":
        """Return the work of one of the recipes, by its name."""
        chosen = next(one for one in self.recipes if one.name == recipe)
        return replace(self, recipe=chosen, others=())

    @property
    def starts_from(self) -> str:
        """What runs of `recipe` start from: `start` where the recipe can start from anything."""
        return self.start if self.recipe.has_base else NONE

    def start_digest(self, base: Mapping[str, Any] | None) -> str:
        """Return the digest of the weights that runs start from; `base` is the result of the common base's stage."""
        if self.starts_from == BASE:
            return str(base["digest"]) if base else NONE
        return NONE if self.starts_from == NONE else self.file_digest

    def train_inputs(self, notes_digest: str, start_digest: str) -> dict[str, str]:
        """Return what the result of training depends on, by a name a person understands."""
        training = [digest(self.recipe.training)]
        if start_digest != NONE:
            training += [digest(self.recipe.training_from_base)]
        asked = self.asked.get(self.recipe.name, 0)
        return {
            **({ASKED: str(asked)} if asked else {}),
            "notes": notes_digest,
            "recipe": digest([digest(self.recipe.network), *training]),
            "seed": str(self.seed),
            "base": start_digest,
            "code version": str(CODE_VERSIONS["train"]),
        }

    def run_id(self, notes_digest: str, start_digest: str = NONE) -> str:
        """Return the name of the run folder: what the training depends on, so the same training is the same run.

        The recipe's name is part of it: two recipes that differ in their samples only do not share a folder.
        """
        return digest([self.recipe.name, self.train_inputs(notes_digest, start_digest)])[:12]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` needs; the folder and the threads are not part of it."""
        models = {"settings": self.settings.model_dump(mode="json"), "recipe": self.recipe.model_dump(mode="json")}
        return {"style": self.style, "seed": self.seed, "start": self.start, "asked": dict(self.asked), **models}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], root: str) -> "Work":
        settings, recipe = Style.model_validate(data["settings"]), Recipe.model_validate(data["recipe"])
        asked = data.get("asked", {})
        return cls(data["style"], settings, recipe, data["seed"], root, start=data["start"], asked=asked)


@dataclass(frozen=True)
class BaseWork:
    """A base as its stage sees it.

    Attributes
    ----------
    wish
        `base:` as corpora.yaml has it, resolved to 'all' or the names; it is what makes another base.
    hears
        The styles whose training pieces it may hear.
    settings
        By style, of all whose held-out pieces it must not hear: those it hears and those that start from it.
    """

    recipe: Recipe
    wish: str
    hears: tuple[str, ...]
    settings: Mapping[str, Style]
    seed: int
    root: str
    threads: int = 1
    fence: Fence | None = None

    def storage(self) -> Storage:
        """Return the artifacts folder, as this attempt may write to it."""
        return Storage(self.root, self.fence)

    @property
    def style(self) -> str:
        return BASE

    def labels(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return licence, attribution and url by style and source; sources of one name have the licences of all."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for style, settings in self.settings.items():
            for source in settings.sources:
                own = {"licence": source.licence, "attribution": source.attribution, "url": source.url}
                before = found.setdefault(style, {}).setdefault(source.name, own)
                before["licence"] = strictest([before["licence"], own["licence"]])
        return found

    def inputs(self, notes: Mapping[str, str]) -> dict[str, str]:
        """Return what makes the stage run again; whether there is another base then, `base_is_stale` says.

        Parameters
        ----------
        notes
            By style the digest of its notes, of those that could be read.
        """
        return {
            "recipe": self.recipe_digest,
            "seed": str(self.seed),
            "styles": digest([self.wish, sorted(self.settings)]),
            "notes": digest(dict(notes)),
            "licences": digest(self.labels()),
            "code version": str(CODE_VERSIONS["base"]),
        }

    @property
    def recipe_digest(self) -> str:
        return digest([digest(self.recipe.network), digest(self.recipe.training_of_base)])
