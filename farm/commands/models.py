"""The commands about models: pick, compose, approve, reject, ship, verify. Each is thin and calls a plain function."""

import os
import re
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from farm.commands.options import Artifacts, Json, Why, names, print_json, storage_at
from farm.errors import FarmError


def pick(
    metrics: Annotated[Path, typer.Argument(help="A training log: metrics.jsonl, or a CSV as Keras writes it.")],
    snapshots: Annotated[Path | None, typer.Option(help="A CSV of the epochs to choose from, with measures.")] = None,
    human: Annotated[Path | None, typer.Option(help="JSON with the same measures of people's pieces.")] = None,
    every: Annotated[int, typer.Option(metavar="N", help="Choose from every N-th epoch.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw it: a .png or .svg file.")] = None,
    json_out: Json = False,
) -> None:
    """Say which epoch of a training to use, from anybody's log of it.

    Example: farm pick training.csv --every 25 --plot training.png
    """
    from farm.picking import pick_facts, pick_lines

    facts = pick_facts(metrics, snapshots=snapshots, human=human, every=every, plot=plot)
    print_json(facts) if json_out else print("\n".join(pick_lines(facts)))


def compose(
    model: Annotated[str, typer.Argument(metavar="STYLE_OR_FILE", help="A published style, or a model file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .mid, .musicxml or .wav file.")] = Path("out.mid"),
    notes: Annotated[int | None, typer.Option(help="At most so many notes (200 when neither is given).")] = None,
    bars: Annotated[int | None, typer.Option(help="At most so many bars.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same piece.")] = 0,
    temperature: Annotated[float, typer.Option(help="Below 1 is safer, above it wilder; at most 10.")] = 1.0,
    top_p: Annotated[float, typer.Option("--top-p", help="Share of the likeliest choices to draw from, to 1.")] = 0.95,
    primer: Annotated[Path | None, typer.Option(help="A MIDI file or score to go on from.")] = None,
    transpose: Annotated[int, typer.Option(help="Semitones up, or down when negative.")] = 0,
    tempo: Annotated[float | None, typer.Option(help="Beats a minute; the corpus's own when not given.")] = None,
    pieces: Annotated[
        int, typer.Option(help="So many at once: out-1.mid, out-2.mid, of one seed after the other.")
    ] = 1,
    soundfont: Annotated[Path | None, typer.Option(help="What a .wav file sounds like; needs FluidSynth.")] = None,
    artifacts: Artifacts = None,
    json_out: Json = False,
) -> None:
    """Compose a new piece in a style.

    Example: farm compose bach -o bach.mid --notes 300 --seed 7
    """
    from farm.composing.threads import use_one_thread

    use_one_thread()
    from farm.catalog.composer import Wish, told
    from farm.piece import compose_pieces

    wish = Wish(notes, bars, seed, temperature, top_p, transpose, tempo, pieces, soundfont)
    composed = compose_pieces(model, output, wish, storage_at(artifacts), primer)
    if json_out:
        print_json(composed[0] if pieces == 1 else {"pieces": composed})
        return
    for facts in composed:
        print(told(facts["output"], facts))


def approve(
    style: Annotated[str, typer.Argument(help="The style to approve.")],
    why: Why,
    epoch: Annotated[int | None, typer.Option(min=1, help="Overrule the pick: ship this epoch.")] = None,
    although: Annotated[str, typer.Option(help="Why a model ships that is worse than the one that does now.")] = "",
    artifacts: Artifacts = None,
) -> None:
    """Approve a style's model for shipping, or overrule the picked epoch.

    Example: farm approve bach --why "sounds like the corpus, no copies heard"
    """
    from farm.scheduling.publishing import decide

    print(decide(storage_at(artifacts), style, "approved", why, epoch=epoch, although=although))


def reject(
    style: Annotated[str, typer.Argument(help="The style to reject.")], why: Why, artifacts: Artifacts = None
) -> None:
    """Reject a style's model; it will not ship.

    Example: farm reject bach --why "wanders off key"
    """
    from farm.scheduling.publishing import decide

    print(decide(storage_at(artifacts), style, "rejected", why))


def ship(
    out: Annotated[Path, typer.Argument(help="The folder to write the pack to.")],
    styles: Annotated[str, typer.Option(help="Only these styles, with commas between.")] = "",
    budget: Annotated[str | None, typer.Option(help="The most that the pack may hold, such as 20MB.")] = None,
    precision: Annotated[str, typer.Option(help="The best precision to ship: float32, float16 or int8.")] = "float32",
    formats: Annotated[str, typer.Option("--format", help="model, onnx, tflite, with commas between.")] = "model",
    embed: Annotated[bool, typer.Option(help="Models go into the page too, as many as the budget allows.")] = True,
    sign: Annotated[Path | None, typer.Option(metavar="KEYFILE", help="Sign it with this minisign secret key.")] = None,
    artifacts: Artifacts = None,
    json_out: Json = False,
) -> None:
    """Pack the approved models with their licences and checksums, and a page that composes with them.

    Example: farm ship pack --budget 20MB
    """
    from farm.catalog.pack import ship as pack
    from farm.catalog.signing import opened
    from farm.scheduling.publishing import record_shipped

    storage = storage_at(artifacts)
    with nullcontext() if sign is None else opened(sign, lambda: _password(sign)) as signer:
        report = pack(
            storage,
            out,
            styles=names(styles) or None,
            budget_bytes=_bytes(budget) if budget else None,
            precision=precision,
            formats=names(formats),
            embed=embed,
            signer=signer,
        )
    record_shipped(storage, report)
    if json_out:
        print_json(report)
        return
    for one in report["models"]:
        told = f"version {one['version']}, {one['format']}, {one['precision']}, {one['bytes'] / 1e6:.2f} MB"
        print(f"{one['style']}: {told}")
    for one in report["left_out"]:
        print(f"{one['style']}: left out, {one['why']}")
    n_models = sum(one["format"] == "model" for one in report["models"])
    print(f"{out}: {n_models} models, {report['bytes'] / 1e6:.2f} MB; check it with 'farm verify {out}'")
    away = [one["style"] for one in report["models"] if one["format"] == "model" and not one["in_page"]]
    asks = f"; it asks for the model files of {', '.join(away)}" if away else ""
    print(f"{out}/compose.html composes in a browser{asks}")
    if report["signed_by"]:
        print(f"{out}/SHA256SUMS.minisig signs it with the key {report['signed_by']}; give your public key another way")


def verify(
    path: Annotated[str, typer.Argument(help="A model file, an artifacts or catalog folder or address, or a pack.")],
    key: Annotated[
        str | None, typer.Option(metavar="PUBKEY", help="A minisign public key that must have signed the pack.")
    ] = None,
    after: Annotated[
        Path | None, typer.Option(metavar="OLD_PACK", help="Refuse a pack that is older, or of another farm.")
    ] = None,
    json_out: Json = False,
) -> None:
    """Check every hash of a model file, a catalog or a pack, and a pack's signature.

    Example: farm verify pack --key minisign.pub
    """
    from farm.catalog.pack_trust import check, is_signed

    problems = check(path, key=key, after=after)
    signature = "checked" if key is not None else "not checked" if is_signed(path) else "none"
    if json_out:
        print_json({"path": path, "problems": problems, "signature": signature})
    else:
        told = "every hash holds" if key is None else "every hash and the signature hold"
        print("\n".join(problems) if problems else f"{path}: {told}")
        if signature == "not checked":
            command = f"farm verify {shlex.quote(path)} --key PUBKEY"
            print(f"{path}: its signature was not checked; do it with the author's public key: {command}")
    raise typer.Exit(2 if problems else 0)


def _password(key_file: Path) -> str:
    """Return the password of a secret key, from the environment or the person at the terminal."""
    given = os.environ.get("FARM_SIGN_PASSWORD")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise FarmError(f"{key_file}: has a password, and there is no terminal to ask at; set FARM_SIGN_PASSWORD")
    return str(typer.prompt(f"Password of {key_file}", hide_input=True, err=True))


def _bytes(text: str) -> int:
    """Return a size such as '20MB', '500 kB' or '1e6' in bytes."""
    units = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in units or match[1].count(".") > 1:
        raise typer.BadParameter(f"{text!r} is no size; give one such as 20MB", param_hint="--budget")
    return round(float(match[1]) * units[match[2]])
