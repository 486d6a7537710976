"""What a run begins with: every style's input files listed and hashed, base files opened, all jobs planned."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from farm.catalog.base_file import open_base
from farm.composing.player import weight_shapes
from farm.config import BASE, NONE, Network, Recipe
from farm.corpus.sources import list_files
from farm.errors import ConfigError, FarmError
from farm.farm_config import ALL, Farm
from farm.scheduling.estimates import history_of
from farm.scheduling.plan import files_digest
from farm.scheduling.retraining import asked
from farm.scheduling.state import BaseState, StyleState, whole_and_lost
from farm.scheduling.work import BaseWork, Work
from farm.storage import Storage
from farm.training.shape import network_shape


def survey(
    farm: Farm, storage: Storage, styles: Sequence[str], *, with_base: bool = True
) -> tuple[list[StyleState], BaseState | None]:
    """List every style's input files and plan all jobs; runs nothing. A style without files is failed.

    Parameters
    ----------
    styles
        The styles that are wanted. Where they start from the common base, the styles that it hears are surveyed too.
    with_base
        False where nothing is going to be trained.

    Returns
    -------
    The styles, wanted ones first; and the common bases, None where nothing starts from one.

    Raises
    ------
    ConfigError
        When a base file is no base file, or one that a recipe's network cannot start from.
    """
    more = asked(storage)
    works = {
        name: replace(work, asked=more.get(name, {})) for name, work in works_of(farm, storage.home, styles).items()
    }
    bases = _bases(farm, works, storage.home) if with_base else {}
    around = [name for name in farm.styles if name not in works and any(name in one.settings for one in bases.values())]
    states = [StyleState(work) for work in works.values()]
    states += [StyleState(work, wanted=False) for work in works_of(farm, storage.home, around).values()]
    for state in states:
        try:
            for source in state.work.settings.sources:
                state.files += list_files(source, farm.folder)
        except FarmError as error:
            state.stage_failed, state.error = "read", str(error)
            continue
        state.digest = files_digest([(file.source, file.path, file.sha256) for file in state.files])
        state.receipts, state.lost = whole_and_lost(storage, state.style)
    there = [state for state in states if not state.error]
    history = history_of((state.files, state.receipts, state.work) for state in there)
    for state in there:
        state.history = history
        state.replan(None)
    if not bases:
        return states, None
    base = BaseState(bases)
    base.receipts, base.lost = whole_and_lost(storage, BASE)
    base.replan({state.style: state for state in states})
    for state in there:
        state.replan(base)
    return states, base


def works_of(farm: Farm, root: str, styles: Sequence[str]) -> dict[str, Work]:
    """Return the work of each style, base files opened."""
    works, problems = {}, []
    for name in styles:
        first, *others = farm.recipes[name]
        work = Work(name, farm.styles[name], first, farm.seed, root, others=tuple(others), start=farm.start_of(name))
        if work.start not in (BASE, NONE):
            try:
                digest = _checked(Path(work.start), work.recipes)
            except FarmError as error:
                problems.append(f"{farm.places[name]}: base: {error}")
                continue
            work = replace(work, file_digest=digest)
        works[name] = work
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return works


def _checked(file: Path, recipes: Sequence[Recipe]) -> str:
    """Return the digest of a base file's weights; FarmError when one of the recipes cannot start from it."""
    base = open_base(file)
    for recipe in recipes:
        network = recipe.network
        if not recipe.has_base or not isinstance(network, Network):
            continue
        wanted = network_shape(network, base.encoding)
        if weight_shapes(wanted, base.encoding) != weight_shapes(base.architecture, base.encoding):
            raise FarmError(
                f"{file}: its network is {base.architecture}, recipe {recipe.name!r} has {wanted}; "
                "give the recipe the same network section, or take another base"
            )
    return base.digest


def _bases(farm: Farm, works: dict[str, Work], root: str) -> dict[str, BaseWork]:
    """Return the common bases that the wanted styles start from, by recipe."""
    starting = [work.alone(recipe.name) for work in works.values() for recipe in work.recipes]
    watched = [style for style in farm.styles if style in farm.hears or farm.start_of(style) == BASE]
    settings = {style: farm.styles[style] for style in watched}
    wish = " ".join(sorted(farm.base)) if isinstance(farm.base, list) else ALL
    names = dict.fromkeys(work.recipe.name for work in starting if work.starts_from == BASE)
    return {
        name: BaseWork(farm.plain_recipes[name], wish, tuple(farm.hears), settings, farm.seed, root) for name in names
    }
