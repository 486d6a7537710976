"""Every path under the artifacts folder, as keys for `farm.storage`. The one place that spells them."""

NOTES = "notes"
PIECES = "pieces"
RUNS = "runs"
BASES = "bases"
CATALOG = "catalog"
SITE = "site"
LEDGER = "ledger"
CACHE = "cache"

CURRENT = f"{CATALOG}/CURRENT"
OBJECTS = f"{CATALOG}/objects"
DECISIONS = f"{LEDGER}/decisions.jsonl"
RETRAINING = f"{LEDGER}/retraining.jsonl"
ATTEMPTS = f"{LEDGER}/attempts.jsonl"
RECEIPTS = f"{LEDGER}/receipts"
LOCK = f"{LEDGER}/lock"
PROGRESS = f"{LEDGER}/progress"
TOKEN = f"{LEDGER}/token"
FENCES = f"{LEDGER}/fences"
THREADS = f"{LEDGER}/threads.json"
ROOMS = (NOTES, PIECES, RUNS, BASES, CATALOG, SITE, LEDGER, CACHE)
"""Every folder that the farm writes to."""


def reading_notes(key: str) -> str:
    """Return where the notes of one batch of input files are cached; safe to delete at any time."""
    return f"{CACHE}/readings/{key}.notes.arrow"


def reading_pieces(key: str) -> str:
    """Return the cached per-file rows of one batch; written last, so it is the batch's receipt."""
    return f"{CACHE}/readings/{key}.pieces.arrow"


def told_events(style: str, digest: str) -> str:
    """Return the raw told events of a style that training maps into memory; safe to delete at any time."""
    return f"{CACHE}/events/{style}-{digest}.i16"


def told_bounds(style: str, digest: str) -> str:
    """Return where each piece lies in `told_events`; written last, so it is that file's receipt."""
    return f"{CACHE}/events/{style}-{digest}.json"


def notes_folder(style: str) -> str:
    return f"{NOTES}/{style}"


def notes_part(style: str, digest: str) -> str:
    return f"{NOTES}/{style}/part-{digest}.parquet"


def pieces(style: str) -> str:
    return f"{PIECES}/{style}.parquet"


def run_folder(style: str, run: str) -> str:
    return f"{RUNS}/{style}/{run}"


def run_recipe(style: str, run: str) -> str:
    """Return the recipe as resolved, with seed, versions and the encoding."""
    return f"{RUNS}/{style}/{run}/recipe.json"


def run_work(style: str, run: str) -> str:
    """Return the style's settings at the time of publishing, for publishing another epoch later."""
    return f"{RUNS}/{style}/{run}/work.json"


def metrics(style: str, run: str) -> str:
    return f"{RUNS}/{style}/{run}/metrics.jsonl"


def snapshots(style: str, run: str) -> str:
    return f"{RUNS}/{style}/{run}/snapshots"


def snapshot(style: str, run: str, epoch: int) -> str:
    return f"{RUNS}/{style}/{run}/snapshots/epoch-{epoch:05d}.safetensors"


def resume_state(style: str, run: str) -> str:
    """Return what training goes on from after a kill: weights and optimizer of the last epoch kept."""
    return f"{RUNS}/{style}/{run}/resume.safetensors"


def samples(style: str, run: str) -> str:
    return f"{RUNS}/{style}/{run}/samples"


def sample_notes(style: str, run: str, epoch: int) -> str:
    """Return what the snapshot of one epoch composed, as JSON notes, with its measures."""
    return f"{RUNS}/{style}/{run}/samples/epoch-{epoch:05d}.json"


def sample_midi(style: str, run: str, number: int) -> str:
    """Return the MIDI file of the picked model's sample; `number` counts from 1."""
    return f"{RUNS}/{style}/{run}/samples/sample-{number}.mid"


def baseline(style: str, run: str) -> str:
    return f"{RUNS}/{style}/{run}/baseline.json"


def verdict(style: str, run: str) -> str:
    return f"{RUNS}/{style}/{run}/verdict.json"


def model_object(sha256: str, name: str) -> str:
    """Return the key of a published file; it holds its hash, so a published file never changes."""
    return f"{OBJECTS}/{sha256[:16]}/{name}"


def catalog_numbered(number: int) -> str:
    return f"{CATALOG}/catalog-{number}.json"


def receipt(stage: str, style: str, recipe: str = "") -> str:
    """Return the note that a stage of a style is done, with the key it was done for; per recipe where one is named."""
    return f"{RECEIPTS}/{stage}/{style}/{recipe}.json" if recipe else f"{RECEIPTS}/{stage}/{style}.json"


def progress(style: str, recipe: str = "") -> str:
    """Return the small file that tells other shells how far a style is, or one of its recipes."""
    return f"{PROGRESS}/{style}/{recipe}.json" if recipe else f"{PROGRESS}/{style}.json"


def fence(task: str) -> str:
    """Return the file that says which attempt at a task may write."""
    return f"{FENCES}/{task.replace('/', '.')}"


def heard(run: str) -> str:
    """Return the table of what a base heard, and of what it did not hear and why."""
    return f"{RUNS}/base/{run}/heard.parquet"


def base_file(digest: str) -> str:
    """Return the file with which another farm can start from a base."""
    return f"{BASES}/{digest[:12]}.base.safetensors"


def base_index(run: str) -> str:
    """Return what a base heard, indexed for the search for copies; safe to delete at any time."""
    return f"{CACHE}/bases/{run}.npz"


def heat(style: str) -> str:
    """Return what was measured when a style was published: its model on others' music, others' models on its own."""
    return f"{CACHE}/heat/{style}.json"


def excerpt(style: str, digest: str) -> str:
    """Return the held-out notes of a style that every model is asked about; safe to delete at any time."""
    return f"{CACHE}/excerpts/{style}-{digest}.json"
