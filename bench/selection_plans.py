"""The runs of the bench of the epoch selector: which styles, recipes and learning rates, how long, on which side.

Every style is on one side for good, about half of the music each: rules may be tuned on the runs of the one side, the
other one is for a test. The farm's networks do not break at a learning rate that they learn well with, so what breaks
here has either one too high to learn much from the start, or one raised on the way.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from farm.config import Recipe

JOBS = Path(__file__).resolve().parent.parent / "jobs"
LEAST_EPOCHS, MOST_EPOCHS = 16, 400
NOTES_TRAINED = 3_600_000  # about three minutes of one core with 'compact', two with 'quick'
BROKEN_NOTES = 1_600_000
SNAPSHOTS = 28


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes
    ----------
    has_base
        It starts from the common base.
    rate
        A learning rate instead of the recipe's.
    raised
        A learning rate for all epochs after the first third.
    """

    style: str
    recipe: str
    has_base: bool = False
    rate: float | None = None
    raised: float | None = None

    @property
    def name(self) -> str:
        words = [self.style, self.recipe, *(["base"] if self.has_base else [])]
        words += [f"{word}{value:g}" for word, value in (("rate", self.rate), ("raised", self.raised)) if value]
        return "-".join(words)

    def epochs(self, notes: int) -> int:
        """Return how long it trains with so many notes an epoch."""
        total = BROKEN_NOTES if self.rate or self.raised else NOTES_TRAINED
        return min(max(round(total / notes), LEAST_EPOCHS), MOST_EPOCHS)

    def kept(self, epochs: int) -> list[int]:
        """Return the epochs that keep their snapshot, whatever the run does: denser at the beginning, and the last."""
        return sorted({max(round(epochs * (at / SNAPSHOTS) ** 1.5), 1) for at in range(1, SNAPSHOTS + 1)})

    def raised_after(self, epochs: int) -> int | None:
        """Return the epoch after which the learning rate is raised, None for never."""
        return epochs // 3 if self.raised else None

    def recipe_as_filed(self) -> Recipe:
        return Recipe.model_validate(yaml.safe_load((JOBS / f"{self.recipe}.yaml").read_text()))

    def recipe_for(self, notes: int) -> Recipe:
        """Return the recipe as it trains a style of so many notes to train on."""
        recipe = self.recipe_as_filed()
        training = recipe.training_from_base_with(notes) if self.has_base else recipe.training
        if self.rate:
            training = training.model_copy(update={"learning_rate": self.rate})
        return recipe.model_copy(update={"training": training})


TUNING = (
    Plan("bach", "quick"),
    Plan("bach", "quick", rate=0.3),
    Plan("borodin", "compact"),
    Plan("burgmueller", "compact", has_base=True),
    Plan("debussy", "compact"),
    Plan("debussy", "quick", raised=0.2),
    Plan("mussorgsky", "quick"),
    Plan("mendelssohn", "compact", has_base=True),
    Plan("own", "compact"),
    Plan("albeniz", "quick"),
    Plan("albeniz", "compact", has_base=True, rate=0.05),
    Plan("haydn", "compact"),
    Plan("haydn", "compact", raised=0.05),
    Plan("wedding", "compact", has_base=True),
    Plan("chopin", "compact"),
    Plan("chopin", "quick"),
    Plan("beethoven", "compact", has_base=True),
    Plan("schubert", "quick"),
    Plan("scarlatti", "compact"),
)
TEST = (
    Plan("granados", "compact"),
    Plan("balakirev", "quick"),
    Plan("christmas", "compact", has_base=True),
    Plan("christmas", "quick", rate=0.3),
    Plan("lullabies", "compact"),
    Plan("tchaikovsky", "quick"),
    Plan("grieg", "compact"),
    Plan("grieg", "compact", raised=0.05),
    Plan("brahms", "compact", has_base=True),
    Plan("schumann", "quick"),
    Plan("schumann", "quick", raised=0.2),
    Plan("hymns", "compact"),
    Plan("hymns", "compact", has_base=True, rate=0.05),
    Plan("mozart", "compact", has_base=True),
    Plan("liszt", "quick"),
    Plan("clementi", "compact"),
    Plan("clementi", "compact", has_base=True),
    Plan("anthems", "quick"),
    Plan("folk", "quick"),
)
