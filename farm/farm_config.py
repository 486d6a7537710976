"""What corpora.yaml says of a farm and its styles, as types; `farm.config` has what they are made of.

Conventions
-----------
`base:` of the farm names the styles of its common base, or a base file, or none; a style may have its own file or none.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from farm.config import BASE, NONE, STYLE_NAME, Filters, Recipe, Source, Strict
from farm.stores.store import is_address

ALL = "all"
BASE_ENDING = ".base.safetensors"

Recipes = Annotated[
    list[str],
    Field(min_length=1),
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]
"""One recipe or several, by file or name."""


class Style(Strict):
    """One style: its sources, what of them is learnt, and what its model may be."""

    title: str = ""
    recipe: Recipes | None = None
    base: str | None = None  # none, or a base file; the farm's when not given
    training: dict[str, Any] = Field(default={})
    devices: dict[str, Any] = Field(default={}, exclude=True)  # keys of the recipe's, for this style
    tasks_at_once: Annotated[int, Field(ge=1)] | None = Field(default=None, exclude=True)  # of this style; null: any
    max_bytes: Annotated[int, Field(gt=0)] | None = None
    priority: int = 0
    filters: Filters = Filters()
    sources: Annotated[list[Source], Field(min_length=1)]

    @field_validator("base")
    @classmethod
    def _own_base(cls, base: str | None) -> str | None:
        if base is not None and base != NONE and not base.endswith(BASE_ENDING):
            raise ValueError(f"found {base!r}; a style's own base is 'none' or a file *{BASE_ENDING}")
        return base


class Farm(Strict):
    """corpora.yaml as resolved.

    Attributes
    ----------
    folder
        Where relative paths in it start.
    recipes
        For each style its recipes with the style's own keys put over them, at least one, no two of one name.
    plain_recipes
        By name, without any style's keys: what a base is trained by.
    places
        For each style the file and line that say from which base it starts.
    """

    farm: Literal[1]
    artifacts: str = "artifacts"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 2019
    recipe: Recipes = Field(default=["compact"])
    base: str | list[str] | None = None
    styles: Annotated[dict[str, Style], Field(min_length=1)]
    folder: Path = Field(default=Path(), exclude=True, repr=False)
    recipes: dict[str, tuple[Recipe, ...]] = Field(default={}, exclude=True, repr=False)
    plain_recipes: dict[str, Recipe] = Field(default={}, exclude=True, repr=False)
    places: dict[str, str] = Field(default={}, exclude=True, repr=False)

    @property
    def artifacts_place(self) -> str:
        """`artifacts` as a place that can be opened: an address as it is, a folder from where corpora.yaml lies."""
        return self.artifacts if is_address(self.artifacts) else str(self.folder / self.artifacts)

    @property
    def hears(self) -> list[str]:
        """The styles that the common base is trained on; none without a common base.

        Without the key it is all of them. A single style has nobody to share a base with, unless it is named.
        """
        if isinstance(self.base, list):
            return self.base
        return list(self.styles) if self.base in (None, ALL) and len(self.styles) > 1 else []

    def start_of(self, style: str) -> str:
        """Return what a style's runs start from: 'none', 'base' for the common one, or the path of a base file."""
        wish = self.styles[style].base or self.base
        if isinstance(wish, str) and wish not in (ALL, NONE):
            return str((self.folder / wish).resolve())
        return BASE if wish != NONE and self.hears else NONE

    @field_validator("base", mode="before")
    @classmethod
    def _base(cls, base: Any) -> Any:
        names = isinstance(base, list) and len(base) > 0 and all(isinstance(name, str) for name in base)
        word = base is None or (isinstance(base, str) and (base in (ALL, NONE) or base.endswith(BASE_ENDING)))
        if not names and not word:
            raise ValueError(f"found {base!r}; it is 'all', 'none', a list of styles or a file *{BASE_ENDING}")
        return base

    @field_validator("styles")
    @classmethod
    def _names(cls, styles: dict[str, Style]) -> dict[str, Style]:
        for name in styles:
            if name == BASE:
                raise ValueError(f"{BASE!r} cannot name a style: the network that all styles start from is called so")
            if not STYLE_NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot name a style: use small letters, digits, '-' and '_', "
                    "starting with a letter or digit"
                )
        return styles
