"""The texts of a pack, in Markdown: how to use it, whose music it learnt from, and a card for every model.

Conventions
-----------
Each function takes the models as a pack's catalog.json holds them. Names and licences come from outside: they are
put on one line and cannot become markup.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

_EXAMPLE = """\
```python
import sys
from pathlib import Path

sys.path.insert(0, "compose.pyz")  # the composing part of the farm; not needed where it is installed
from farm.catalog.composer import Wish, compose_file
from farm.catalog.model_file import open_model

model = open_model(Path("{file}"), sha256="{sha256}")
data, facts = compose_file(model, "piece.mid", Wish(notes=200, seed=1))
print(f"{{facts['notes']}} notes, {{facts['bars']}} bars, {{facts['seconds']:.0f}} seconds")
Path("piece.mid").write_bytes(data)
```
"""


def readme(models: Sequence[Mapping[str, Any]], inside: Collection[str], signed_by: str | None = None) -> str:
    """Return README.md: what is here, how to check it, how to compose.

    Parameters
    ----------
    inside
        The styles whose model the page has in a script.
    signed_by
        The id of the key that the pack is signed with; None when it is not.
    """
    first = models[0]["files"][0]
    rows = []
    for model in models:
        for file in model["files"]:
            cells = (_text(model["title"]), f"`{file['path']}`", file["precision"], f"{file['bytes']:,}")
            rows.append(f"| {' | '.join(cells)} | {_text(model['licence'])} |")
    return "\n".join(
        [
            "# Models that compose",
            "",
            "One file per style; it holds the network, its vocabulary and its card, and needs nothing else to compose.",
            "What each model is worth stands in `cards/`, whose music it learnt from in `LICENCES.md`, all of it for",
            "programs in `catalog.json`.",
            "",
            "| style | file | precision | bytes | licence |",
            "|---|---|---|---:|---|",
            *rows,
            "",
            "## Check",
            "",
            "`sha256sum -c SHA256SUMS`, or `farm verify` with the name of this folder, which also opens every model.",
            "With `--after` and the folder of an old pack it refuses one that is older, or another farm's.",
            "",
            *_signature(signed_by),
            "## Compose in a browser",
            "",
            *_browser(models, inside),
            "",
            "## Compose in a program",
            "",
            f"In a shell: `python compose.pyz {first['path']} -o piece.mid --notes 200 --seed 1`.",
            "It needs Python and numpy, nothing else, and composes what `farm compose` does. In a program:",
            "",
            _EXAMPLE.format(file=first["path"], sha256=first["sha256"]),
            "The same seed gives the same piece. `bars=16` asks for bars; `temperature` below 1 plays it safe.",
            "The notes themselves are what `farm.composing.sampling.compose` and `farm.music.encoding.decode` return.",
            "",
            *_exports(models[0]),
        ]
    )


def _signature(signed_by: str | None) -> list[str]:
    """Return what README.md says of the signature; not the key itself, which proves nothing where it came with it."""
    if signed_by is None:
        return []
    return [
        f"The pack is signed, with the key {signed_by}. Get the public key from the author by another way than this",
        "pack. Then one of these checks, from this folder, that it is the author's and that nothing was changed:",
        "",
        "    farm verify . --key PUBLIC_KEY",
        "    minisign -Vm SHA256SUMS -P PUBLIC_KEY && sha256sum -c SHA256SUMS",
        "",
    ]


def _browser(models: Sequence[Mapping[str, Any]], inside: Collection[str]) -> list[str]:
    """Return what README.md says of the page; which of its words depend on what is in it."""
    away = [_text(model["title"]) for model in models if model["style"] not in inside]
    lines = [
        "Open `compose.html`, from a file manager too: it needs no server and no network, and sends nothing anywhere.",
        "Choose a style, press Compose, listen, save the MIDI. A seed gives the piece that `farm compose` gives.",
    ]
    if len(away) < len(models):
        lines.append("The scripts in `page/` hold the models for it; an app needs neither those nor the page.")
    if away:
        named = "every style" if len(away) == len(models) else ", ".join(away)
        lines.append(f"For {named} it asks for the model file: browsers let no page read the files beside it.")
        lines.append("Show it this whole folder once.")
    return lines


def _exports(model: Mapping[str, Any]) -> list[str]:
    """Return what README.md says of the other formats; nothing where there are none."""
    others = [file for file in model["files"] if file["role"] != "model"]
    if not others:
        return []
    commands = [f"    python examples/{file['role']}_step.py {file['path']}" for file in others]
    return [
        "## In other runtimes",
        "",
        "The other formats hold one step of the network. Inputs are the event before (`event`), the one to be",
        "chosen as far as it is (`next`), and the state, all zeros in the beginning; outputs are the logits of",
        "every field and the state after `event` (`_out`). Choose the fields in their order, one call each, with",
        "the same event and state; then go on with the chosen event and the new state. The first event, the order",
        "of the fields and what the classes mean stand in `catalog.json` beside the file's hash. From this folder:",
        "",
        *commands,
        "",
    ]


def licences(models: Sequence[Mapping[str, Any]]) -> str:
    """Return LICENCES.md: licence and attribution of every source of every model."""
    lines = ["# Licences and attributions", "", "The models learnt from the music named here.", ""]
    for model in models:
        lines += [f"## {_text(model['title'])}", "", f"Licence of the model: {_text(model['licence'])}", ""]
        for source in model["corpus"]["sources"]:
            parts = [_text(source.get(key, "")) for key in ("attribution", "licence", "url")]
            parts.append("heard by the base that it started from" if source.get("from") == "base" else "")
            lines.append("- " + ", ".join(part for part in parts if part))
        lines.append("")
    return "\n".join(lines)


def card(model: Mapping[str, Any]) -> str:
    """Return a model's card: verdict, quality against people and the n-gram, corpus and lineage."""
    quality, corpus, lineage, verdict = (model[name] for name in ("quality", "corpus", "lineage", "verdict"))
    file = model["files"][0]
    loss = model["precision_loss"].get(file["precision"]) or {}
    copy, stands = quality["longest_copy"] or {}, model.get("compared") or {"why": "the first that is approved"}
    unit = "chords" if copy.get("view") == "chords" else "notes"
    facts = [
        ("file", f"`{file['path']}`, {file['precision']}, {file['bytes']:,} bytes"),
        ("network", f"{model['network']['kind']}, {model['network']['weights']:,} weights"),
        ("bits per note, held-out music", _number(quality["val_bits_per_note"])),
        ("bits per note, n-gram", _number(quality["ngram_bits_per_note"])),
        ("bits per note lost by the precision", _number(loss.get("delta"))),
        ("repetition, and people's", f"{_number(quality['repetition'])}, {_number(quality['repetition_human'])}"),
        ("copied, and people's", f"{_number(quality['copied'])}, {_number(quality['copied_human'])}"),
        ("longest copy", f"{copy['notes']} {unit} of {copy['piece']}" if copy.get("notes") else "none"),
        ("beside the version before it", stands["why"]),
        ("corpus", f"{corpus['pieces']:,} pieces, {corpus['notes']:,} notes, {_number(corpus['hours'])} hours"),
        ("licence", model["licence"]),
        ("recipe, seed", f"{_name(lineage['recipe'])}, {lineage['seed']}"),
        ("code version", lineage["code_version"]),
    ]
    table = [f"| {name} | {_text(value)} |" for name, value in facts]
    head = [f"# {_text(model['title'])}, version {model['version']}", "", _text(verdict["reason"]), ""]
    return "\n".join([*head, "| | |", "|---|---|", *table, ""])


def _name(recipe: Any) -> Any:
    return recipe.get("name", "") if isinstance(recipe, Mapping) else recipe


def _number(value: Any) -> str:
    """Return a measure as a person reads it; a reference may be a mean with its bounds, or missing."""
    if isinstance(value, Mapping):
        value = value.get("mean")
    return "not measured" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    """Return text on one line in which nothing is markup; backquotes stay, they are this module's own."""
    line = "".join(character if character.isprintable() else " " for character in str(value))
    return re.sub(r"([\\|<>\[\]*_#])", r"\\\1", " ".join(line.split()))
