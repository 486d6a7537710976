"""The commands that farm: init, plan, run, status, doctor. Each is thin and calls a plain function.

Heavy libraries are imported inside the commands that need them, so that `farm --help` is quick.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from farm.commands.options import Artifacts, ConfigFile, Json, names, print_json, storage_at
from farm.errors import FarmError
from farm.storage import Storage


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

    written = write_farm(folder, output, only=names(styles), force=force)
    print(f"{output}: {len(written)} styles ({', '.join(written)}); next: farm run {output}")


def plan(config: ConfigFile = Path("corpora.yaml"), artifacts: Artifacts = None, json_out: Json = False) -> None:
    """Show what would run and why, and what is fresh; run nothing.

    Example: farm plan corpora.yaml
    """
    from farm.planning import plan_facts, plan_lines

    farm, storage = _load(config, artifacts)
    facts = plan_facts(farm, storage)
    print_json(facts) if json_out else print("\n".join(plan_lines(facts)))


def run(
    config: ConfigFile = Path("corpora.yaml"),
    artifacts: Artifacts = None,
    styles: Annotated[str, typer.Option(help="Only these styles, with commas between.")] = "",
    until: Annotated[str, typer.Option(help="Last stage: read, train, judge or publish.")] = "publish",
    address: Annotated[str | None, typer.Option(help="A Ray cluster to run on.")] = None,
    executor: Annotated[str, typer.Option(help="ray or local.")] = "ray",
    cpus: Annotated[int, typer.Option(min=0, help="CPUs to use on this machine; 0 for all.")] = 0,
    recipe: Annotated[list[Path] | None, typer.Option(help="Use this recipe for every style; may be repeated.")] = None,
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
        raise typer.BadParameter(f"{until!r} is not a stage; choose from {', '.join(UNTIL)}", param_hint="--until")
    if executor not in ("ray", "local"):
        raise typer.BadParameter(f"{executor!r} is not an executor; choose ray or local", param_hint="--executor")
    if address and executor == "local":
        raise typer.BadParameter("is for Ray; leave out '--executor local'", param_hint="--address")
    farm, storage = _load(config, artifacts, recipe or ())
    chosen = _chosen(farm, names(styles), config)
    console = Console(stderr=True)
    listener = (Bars if console.is_terminal and not json_out else PlainLines)(storage, console)
    terminated = _interrupt_on_sigterm()
    try:
        states, base = run_farm(
            farm,
            storage,
            styles=chosen,
            until=until,
            make_executor=lambda: _executor(executor, cpus, address, shares_artifacts="://" in str(storage.root)),
            listener=listener,
        )
    except KeyboardInterrupt as stop:
        print(f"interrupted; what is done is kept: 'farm run {config}' goes on from there", file=sys.stderr)
        raise typer.Exit(143 if terminated else 130) from stop
    finally:
        if isinstance(listener, Bars):
            listener.close()
    facts = run_facts(states, base, storage)
    print_json(facts) if json_out else print("\n".join(run_lines(facts)))
    raise typer.Exit(1 if facts["failed"] else 0)


def status(
    artifacts: Artifacts = None,
    rejects: Annotated[bool, typer.Option("--rejects", help="List every file that was not read, and why.")] = False,
    json_out: Json = False,
) -> None:
    """Show how far every style is: stages, epochs, time left, attempts, rejects.

    Example: farm status --rejects
    """
    from farm.status import reject_lines, status_facts, status_lines

    storage = storage_at(artifacts)
    facts = status_facts(storage, with_rejects=rejects)
    if json_out:
        print_json(facts)
    else:
        print("\n".join(reject_lines(facts) if rejects else status_lines(facts)))


def doctor(artifacts: Artifacts = None, json_out: Json = False) -> None:
    """Check Python, libraries, CPU, GPUs, Ray and disk, and say what to do about each problem.

    Example: farm doctor
    """
    from farm.doctor import examine, lines

    findings = examine(artifacts or Path("artifacts"))
    print_json(findings) if json_out else print("\n".join(lines(findings)))
    raise typer.Exit(0 if all(finding["ok"] for finding in findings) else 2)


def _interrupt_on_sigterm() -> list[int]:
    """Handle SIGTERM like ^C; the list returned is filled when it comes."""
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    return received


def _chosen(farm: Any, names: list[str], config: Path) -> list[str]:
    unknown = [name for name in names if name not in farm.styles]
    if unknown:
        raise FarmError(f"{config}: no style {', '.join(unknown)}; it has {', '.join(farm.styles)}")
    return names or list(farm.styles)


def _load(config: Path, artifacts: Path | None, recipes: Sequence[Path] = ()) -> tuple[Any, Storage]:
    from farm.config_file import load_farm

    farm = load_farm(config, recipes)
    if "://" in farm.artifacts and artifacts is None:
        raise FarmError(f"{config}: artifacts: {farm.artifacts} is not a folder of this machine; name a local folder")
    return farm, storage_at(artifacts or farm.folder / farm.artifacts)


def _executor(name: str, cpus: int, address: str | None, *, shares_artifacts: bool) -> Any:
    count = cpus or len(os.sched_getaffinity(0))
    if name == "local":
        from farm.scheduling.local import LocalExecutor

        return LocalExecutor(count)
    from farm.scheduling.cluster import RayExecutor

    return RayExecutor(count, address, shares_artifacts=shares_artifacts)
