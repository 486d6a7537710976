"""Real runs of the farm's own networks: how often each rule picks an epoch that composes well, beside the usual rules.

    python bench/selection_runs.py --corpora FOLDER --scratch DIR [--base FILE] [--artifacts DIR] [--sealed]
    python bench/selection_runs.py --again FILE [--sealed]

Every folder in --corpora is a style. Three recipes train on them: `quick`, `compact`, and `compact` from a common base;
eight runs have a learning rate that breaks them. Training goes past the good epochs (`selection_training`), samples say
which are good (`selection_picks`). Killed, it goes on where it was. Each style is on one side for good: rules may be
tuned on the one side, and the other is told with --sealed only, once the rule is done. --again reads what was written
and asks today's rule, in seconds.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import machine
import yaml
from processes import run_farm
from selection_listening import MEASURED_BY, SEED
from selection_picks import METHODS, Record, read_run, summary
from selection_plans import JOBS, TEST, TUNING, Plan
from selection_training import Places, settings_of, work

from farm.config import BASE
from farm.scheduling.ledger import read_receipts
from farm.storage import Storage

_READ_SECONDS, _BASE_SECONDS = 3600, 7200
_MARKS = {"in": " ", "early": "<", "late": ">", "between": "~", "none": " ", "": " "}


def places_of(options: argparse.Namespace, plans: Sequence[Plan]) -> Places:
    """Return where the styles that were read and the base lie; the farm reads and trains what was not given."""
    base, artifacts = options.base, options.artifacts
    is_base_needed = any(plan.has_base for plan in plans) and base is None
    if artifacts is not None and not is_base_needed:
        return Places(artifacts.resolve(), base, options.scratch)
    folders = sorted(folder for folder in options.corpora.iterdir() if folder.is_dir())
    styles = {folder.name.lower(): {"sources": [{"folder": str(folder.resolve())}]} for folder in folders}
    recipe = yaml.safe_load((JOBS / "compact.yaml").read_text())
    recipe["training"]["max_epochs"] = 1  # of the one style that asks for the base: `base` has its own number
    (options.scratch / "base.yaml").write_text(yaml.safe_dump(recipe))
    farm = {"farm": 1, "seed": SEED, "recipe": "base.yaml", "base": "all", "styles": styles}
    (options.scratch / "farm.yaml").write_text(yaml.safe_dump(farm))
    command = ["run", "farm.yaml", "--artifacts", "read", "--executor", "local", "--cpus", str(options.jobs)]
    made = Storage(options.scratch / "read")
    if artifacts is None:
        run_farm([*command, "--until", "read"], options.scratch, _READ_SECONDS)
    if is_base_needed:
        run_farm([*command, "--until", "train", "--styles", min(styles)], options.scratch, _BASE_SECONDS)
        receipts = read_receipts(made, BASE, (), (BASE,))
        base = made.path(receipts[f"{BASE}/{recipe['name']}"]["result"]["file"])
    return Places((artifacts or made.root).resolve(), base, options.scratch)


def run_all(plans: Sequence[Plan], places: Places, minutes: float, jobs: int) -> list[str]:
    """Train and score what is not done yet, `jobs` at a time in processes of their own; return what failed."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # for numpy in the processes of the runs
    waiting = [plan for plan in plans if not _is_done(plan, places, minutes)]
    context, running, failed = multiprocessing.get_context("spawn"), {}, []
    print(f"{len(waiting)} of {len(plans)} runs are to be done", file=sys.stderr)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                plan = waiting.pop(0)
                child = context.Process(target=work, args=(plan, places, minutes))
                child.start()
                running[child.sentinel] = (plan, child, time.perf_counter())
            for sentinel in wait(list(running)):
                plan, child, began = running.pop(sentinel)
                child.join()
                failed += [plan.name] if child.exitcode else []
                how = f"failed with {child.exitcode}" if child.exitcode else f"{time.perf_counter() - began:.0f} s"
                print(f"{plan.name}: {how}; {len(waiting) + len(running)} to go", file=sys.stderr, flush=True)
    finally:
        for _, child, _ in running.values():
            child.terminate()  # its last state is at most a few seconds old
            child.join()
    return failed


def _is_done(plan: Plan, places: Places, minutes: float) -> bool:
    file = places.record(plan)
    if not file.exists():
        return False
    record = json.loads(file.read_text())
    done = (record["settings"], record["minutes"], record.get("measured_by"))
    return done == (settings_of(plan, places.base_digest), minutes, MEASURED_BY)


def write_json(file: Path, plans: Sequence[Plan], places: Places, minutes: float) -> dict[str, Any]:
    """Write every record that is done, one a line, with nothing in it that a rule decides; return all."""
    files = [places.record(plan) for plan in plans if _is_done(plan, places, minutes)]
    facts = {"machine": machine.describe(), "minutes": minutes, "runs": [json.loads(one.read_text()) for one in files]}
    about = {name: value for name, value in facts.items() if name != "runs"}
    lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in facts["runs"])
    file.write_text(f'{json.dumps(about)[:-1]}, "runs": [\n{lines}\n]}}\n')
    return facts


def print_table(facts: dict[str, Any], *, is_sealed: bool = True) -> None:
    """Print the test runs, or the tuning runs, each run and each rule."""
    styles = {plan.style for plan in (TEST if is_sealed else TUNING)}
    records = [record for record in facts["runs"] if record["style"] in styles]
    read = [read_run(record, METHODS) for record in records]
    print(f"{'the sealed test' if is_sealed else 'tuning'}: {len(read)} runs of {len(styles)} styles")
    print("a pick in the good window stands alone; < too early, > too late, ~ between good ones, - none, ? not fit")
    heads = "".join(f"{name:>10}" for name in METHODS)
    print(f"{'run':<34}{'notes':>8}{'epochs':>8}{'good':>6}{'window':>10}{'best':>6}{'breaks':>8}{heads}")
    for record, run in zip(records, read, strict=True):
        print(_row(record, run, list(METHODS)))
    heads = f"{'in':>6}{'early':>7}{'late':>6}{'between':>9}{'none':>6}{'apart':>7}{'bits':>7}"
    print(f"\n{'rule':<38}{heads}  no window  broken")
    for name, (words, _) in METHODS.items():
        told = summary(read, name)
        shares = "".join(
            f"{told[one]:>{width}.0%}"
            for one, width in (("in", 6), ("early", 7), ("late", 6), ("between", 9), ("none", 6))
        )
        apart, bits = (
            "-" if told[one] is None else f"{told[one]:.{digits}f}" for one, digits in (("apart", 1), ("bits", 2))
        )
        wrong = f"{told['wrongly_fit']} of {told['without']}"
        unfit = f"  {told['unfit']} of those in not called fit" if told["unfit"] else ""
        print(f"{words:<38}{shares}{apart:>7}{bits:>7}{wrong:>11}{told['broken']:>8}{unfit}")
    print(
        "shares are of the runs with a window; apart: snapshots from the best one (median), bits: held-out bits a note"
    )
    print("above it (mean); no window: fit picks in runs without a good snapshot; broken: picks after a break")
    seconds = [sum(record[f"{part}_seconds"] for record in records) / 60 for part in ("training", "scoring")]
    print(f"{seconds[0]:.0f} core minutes of training, {seconds[1]:.0f} of scoring")


def _row(record: Record, run: Record, methods: Sequence[str]) -> str:
    good = run["good"]
    window = f"{min(good)}-{max(good)}" if good else "none"
    count = f"{len(good)}/{len(record['snapshots'])}"
    cells = ""
    for name in methods:
        pick = run["picks"][name]
        epoch = "-" if pick["epoch"] is None else f"{pick['epoch']}{'' if pick['fit'] else '?'}"
        cells += f"{epoch:>9}{_MARKS[pick['side']]}"
    epochs = len(record["metrics"]["loss"])
    ends = f"{record['notes']:>8,}{epochs:>8}{count:>6}{window:>10}{run['best'] or '-':>6}{run['blow_up'] or '-':>8}"
    return f"{record['name']:<34}{ends}{cells}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, metavar="FOLDER", help="a folder of folders of music, a style each")
    parser.add_argument("--artifacts", type=Path, metavar="DIR", help="a farm that has read them; is not written to")
    parser.add_argument("--base", type=Path, metavar="FILE", help="a base file that a farm of these folders made")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="for what is made on the way; kept")
    parser.add_argument("--minutes", type=float, default=5, help="of training, the most of a run")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these runs; --list names them")
    parser.add_argument("--list", action="store_true", help="name the runs and end")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--again", type=Path, metavar="FILE", help="train nothing, ask the rules about this JSON")
    parser.add_argument("--sealed", action="store_true", help="print the test runs, not the tuning runs")
    options = parser.parse_args()
    plans = [plan for plan in (*TUNING, *TEST) if not options.only or plan.name in options.only]
    if unknown := set(options.only or ()) - {plan.name for plan in plans}:
        parser.error(f"no run {', '.join(sorted(unknown))}; --list names them")
    if options.list:
        print("\n".join(plan.name for plan in plans))
        return
    failed: list[str] = []
    if options.again:
        facts = json.loads(options.again.read_text())
    else:
        if options.scratch is None or (options.corpora is None and (options.artifacts is None or options.base is None)):
            parser.error("give --scratch, and --corpora or both --artifacts and --base")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended; the same command goes on"))
        options.scratch.mkdir(parents=True, exist_ok=True)
        places = places_of(options, plans)
        failed = run_all(plans, places, options.minutes, options.jobs)
        facts = write_json(options.json, plans, places, options.minutes)
    print_table(facts, is_sealed=options.sealed)
    if failed:
        raise SystemExit(f"not done: {', '.join(failed)}; the same command tries them again")


if __name__ == "__main__":
    main()
