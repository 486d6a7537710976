"""The commands. The only place that prints and exits; every command is thin and calls a plain function.

Heavy libraries are imported inside the commands that need them, so that `farm --help` is quick.
"""

import json
import re
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import click
import typer

from farm.errors import FarmError

app = typer.Typer(
    name="farm",
    help="Folders of music in, one small composing model per style out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigFile = Annotated[Path, typer.Argument(help="The farm's description.")]
Artifacts = Annotated[Path | None, typer.Option("--artifacts", help="Folder for everything that a run makes.")]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON, for programs.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept with the decision.")]


def main() -> None:
    """Run the command line: 0 fine, 1 a style failed, 2 the user's mistake, 130/143 interrupted."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except FarmError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Abort:
        _fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A folder of folders of music, one style per folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")] = Path("corpora.yaml"),
    styles: Annotated[str, typer.Option(help="Only these folders, with commas between.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write a farm from a folder of folders of music.

    Example: farm init ~/Music/midi -o corpora.yaml
    """
    from farm.starting import write_farm

    written = write_farm(folder, output, only=_names(styles), force=force)
    print(f"{output}: {len(written)} styles ({', '.join(written)}); next: farm run {output}")


@app.command()
def plan(config: ConfigFile = Path("corpora.yaml"), artifacts: Artifacts = None, json_out: Json = False) -> None:
    """Show what would run and why, and what is fresh; run nothing.

    Example: farm plan corpora.yaml
    """
    from farm.status import plan_facts, plan_lines

    farm, storage = _load(config, artifacts)
    facts = plan_facts(farm, storage)
    _print_json(facts) if json_out else print("\n".join(plan_lines(facts)))


@app.command()
def run(
    config: ConfigFile = Path("corpora.yaml"),
    artifacts: Artifacts = None,
    styles: Annotated[str, typer.Option(help="Only these styles, with commas between.")] = "",
    until: Annotated[str, typer.Option(help="Last stage: read, train, judge or publish.")] = "publish",
    address: Annotated[str | None, typer.Option(help="A Ray cluster to run on.")] = None,
    executor: Annotated[str, typer.Option(help="ray or local.")] = "ray",
    cpus: Annotated[int, typer.Option(min=0, help="CPUs to use on this machine; 0 for all.")] = 0,
    recipe: Annotated[Path | None, typer.Option(help="Use this recipe for every style.")] = None,
    json_out: Json = False,
) -> None:
    """Read, train, judge and publish everything that is missing or stale.

    Example: farm run corpora.yaml --styles bach,chopin
    """
    from rich.console import Console

    from farm.progress import Bars, PlainLines
    from farm.scheduling.plan import UNTIL
    from farm.scheduling.run import run_farm
    from farm.status import run_facts, run_lines

    if until not in UNTIL:
        raise click.BadParameter(f"{until!r} is not a stage; choose from {', '.join(UNTIL)}", param_hint="--until")
    if executor not in ("ray", "local"):
        raise click.BadParameter(f"{executor!r} is not an executor; choose ray or local", param_hint="--executor")
    farm, storage = _load(config, artifacts, recipe)
    chosen = _chosen(farm, _names(styles), config)
    console = Console(stderr=True)
    listener = (Bars if console.is_terminal and not json_out else PlainLines)(storage, console)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        states = run_farm(
            farm,
            storage,
            styles=chosen,
            until=until,
            make_executor=lambda: _executor(executor, cpus, address),
            listener=listener,
        )
    except KeyboardInterrupt as stop:
        code = 143 if isinstance(stop, _Terminated) else 130
        print(f"interrupted; what is done is kept: 'farm run {config}' goes on from there", file=sys.stderr)
        raise typer.Exit(code) from stop
    finally:
        if isinstance(listener, Bars):
            listener.close()
    facts = run_facts(states, storage)
    _print_json(facts) if json_out else print("\n".join(run_lines(facts)))
    raise typer.Exit(1 if facts["failed"] else 0)


@app.command()
def status(
    artifacts: Artifacts = None,
    rejects: Annotated[bool, typer.Option("--rejects", help="List every file that was not read, and why.")] = False,
    json_out: Json = False,
) -> None:
    """Show how far every style is: stages, epochs, time left, attempts, rejects.

    Example: farm status --rejects
    """
    from farm.status import reject_lines, status_facts, status_lines

    storage = _storage(artifacts)
    facts = status_facts(storage, with_rejects=rejects)
    if json_out:
        _print_json(facts)
    else:
        print("\n".join(reject_lines(facts) if rejects else status_lines(facts)))


@app.command()
def approve(
    style: Annotated[str, typer.Argument(help="The style to approve.")],
    why: Why,
    epoch: Annotated[int | None, typer.Option(min=1, help="Overrule the pick: ship this epoch.")] = None,
    artifacts: Artifacts = None,
) -> None:
    """Approve a style's model for shipping, or overrule the picked epoch.

    Example: farm approve bach --why "sounds like the corpus, no copies heard"
    """
    from farm.scheduling.publishing import decide

    print(decide(_storage(artifacts), style, "approved", why, epoch=epoch))


@app.command()
def reject(
    style: Annotated[str, typer.Argument(help="The style to reject.")], why: Why, artifacts: Artifacts = None
) -> None:
    """Reject a style's model; it will not ship.

    Example: farm reject bach --why "wanders off key"
    """
    from farm.scheduling.publishing import decide

    print(decide(_storage(artifacts), style, "rejected", why, epoch=None))


@app.command()
def compose(
    model: Annotated[str, typer.Argument(metavar="STYLE_OR_FILE", help="A published style, or a model file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .mid, .musicxml or .wav file.")] = Path("out.mid"),
    notes: Annotated[int | None, typer.Option(help="At most so many notes (200 when neither is given).")] = None,
    bars: Annotated[int | None, typer.Option(help="At most so many bars.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same piece.")] = 0,
    temperature: Annotated[float, typer.Option(help="Below 1 is safer, above 1 is wilder.")] = 1.0,
    top_p: Annotated[float, typer.Option("--top-p", help="Share of the likeliest choices to draw from.")] = 0.95,
    primer: Annotated[Path | None, typer.Option(help="A MIDI file or score to go on from.")] = None,
    transpose: Annotated[int, typer.Option(help="Semitones up, or down when negative.")] = 0,
    tempo: Annotated[float | None, typer.Option(help="Beats a minute; the corpus's own when not given.")] = None,
    artifacts: Artifacts = None,
    json_out: Json = False,
) -> None:
    """Compose a new piece in a style.

    Example: farm compose bach -o bach.mid --notes 300 --seed 7
    """
    from farm.piece import Wish, compose_piece

    wish = Wish(notes, bars, seed, temperature, top_p, primer, transpose, tempo)
    facts = compose_piece(model, output, wish, _storage(artifacts))
    _print_json(facts) if json_out else print(
        f"{output}: {facts['notes']} notes, {facts['bars']} bars, {facts['seconds']:.0f} s of music, {facts['ending']}"
    )


@app.command()
def ship(
    out: Annotated[Path, typer.Argument(help="The folder to write the pack to.")],
    styles: Annotated[str, typer.Option(help="Only these styles, with commas between.")] = "",
    budget: Annotated[str | None, typer.Option(help="The most that the pack may hold, such as 20MB.")] = None,
    precision: Annotated[str, typer.Option(help="The best precision to ship: float32, float16 or int8.")] = "float32",
    formats: Annotated[str, typer.Option("--format", help="Formats, with commas between.")] = "model",
    artifacts: Artifacts = None,
    json_out: Json = False,
) -> None:
    """Pack the approved models with their licences and checksums.

    Example: farm ship pack --budget 20MB
    """
    from farm.catalog.pack import ship as pack

    report = pack(
        _storage(artifacts),
        out,
        styles=_names(styles) or None,
        budget_bytes=_bytes(budget) if budget else None,
        precision=precision,
        formats=_names(formats),
    )
    if json_out:
        _print_json(report)
        return
    for one in report["models"]:
        print(f"{one['style']}: version {one['version']}, {one['precision']}, {one['bytes'] / 1e6:.2f} MB")
    for one in report["left_out"]:
        print(f"{one['style']}: left out, {one['why']}")
    print(f"{out}: {len(report['models'])} models, {report['bytes'] / 1e6:.2f} MB; check it with 'farm verify {out}'")


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A model file, an artifacts or catalog folder, or a pack.")],
    json_out: Json = False,
) -> None:
    """Check every hash of a model file, a catalog or a pack.

    Example: farm verify pack
    """
    from farm.catalog.verify import verify as check

    problems = check(path)
    _print_json({"path": str(path), "problems": problems}) if json_out else print(
        "\n".join(problems) if problems else f"{path}: every hash holds"
    )
    raise typer.Exit(2 if problems else 0)


@app.command()
def doctor(artifacts: Artifacts = None, json_out: Json = False) -> None:
    """Check Python, libraries, CPU, GPUs, Ray and disk, and say what to do about each problem.

    Example: farm doctor
    """
    from farm.doctor import examine, lines

    findings = examine(artifacts or Path("artifacts"))
    _print_json(findings) if json_out else print("\n".join(lines(findings)))
    raise typer.Exit(0 if all(finding["ok"] for finding in findings) else 2)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, handled like ^C but for the exit code."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _chosen(farm: Any, names: list[str], config: Path) -> list[str]:
    unknown = [name for name in names if name not in farm.styles]
    if unknown:
        raise FarmError(f"{config}: no style {', '.join(unknown)}; it has {', '.join(farm.styles)}")
    return names or list(farm.styles)


def _load(config: Path, artifacts: Path | None, recipe: Path | None = None) -> tuple[Any, Any]:
    from farm.config import load_farm

    farm = load_farm(config, recipe)
    if "://" in farm.artifacts and artifacts is None:
        raise FarmError(f"{config}: artifacts: {farm.artifacts} is not a folder of this machine; name a local folder")
    return farm, _storage(artifacts or farm.folder / farm.artifacts)


def _storage(artifacts: Path | None) -> Any:
    from farm.storage import Storage

    return Storage(artifacts or Path("artifacts"))


def _bytes(text: str) -> int:
    """Return a size such as '20MB', '500 kB' or '1e6' in bytes."""
    units = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in units or match[1].count(".") > 1:
        raise click.BadParameter(f"{text!r} is no size; give one such as 20MB", param_hint="--budget")
    return round(float(match[1]) * units[match[2]])


def _executor(name: str, cpus: int, address: str | None) -> Any:
    import os

    count = cpus or len(os.sched_getaffinity(0))
    if name == "local":
        from farm.scheduling.local import LocalExecutor

        return LocalExecutor(count)
    from farm.scheduling.cluster import RayExecutor

    return RayExecutor(count, address)
