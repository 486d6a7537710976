"""The page of one style: its samples to listen to, its curve, its measures against people, its files and their origin.

Conventions
-----------
As in `index_page`: pure functions from `Evidence` to a frozen dataclass of texts. A section whose files are missing is
empty and its template part is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from farm.website import figures, listening, measures, origin, shipping
from farm.website.copied import Copy
from farm.website.copy_section import CopySection, copy_section
from farm.website.corpus_section import CorpusSection, corpus_section
from farm.website.evidence import Evidence, records, section
from farm.website.growing import Growing, growing
from farm.website.measures import Fact
from farm.website.recipes_section import RecipesSection, recipes_section
from farm.website.slider import Slider, slider
from farm.website.text import MISSING, count, decimals, duration, number, share, size, whole
from farm.website.wording import (
    Mark,
    flags,
    is_fit,
    message_lines,
    model_file,
    page_name,
    stage_of,
    status_mark,
    title_of,
    verdict_mark,
)

_UP = 2  # folders from a style's page to the artifacts


@dataclass(frozen=True)
class StylePage:
    """Everything on a style's page."""

    title: str
    heading: str
    style: str
    root: str
    badges: tuple[Mark, ...]
    failure_stage: str
    failure_lines: tuple[str, ...]
    problems: tuple[str, ...]
    reason: str
    chosen: str
    flags: tuple[str, ...]
    facts: tuple[Fact, ...]
    listen: str
    takes: tuple[listening.TakeView, ...]
    slider: Slider | None
    sounds: Markup
    pictures: str
    growing: Growing | None
    figure: Markup
    caption: str
    epochs: measures.Grid
    candidates: measures.Grid | None
    quality: measures.Grid | None
    copies: CopySection | None
    recipes: RecipesSection | None
    corpus: CorpusSection
    sources: tuple[origin.SourceView, ...]
    files: tuple[origin.FileView, ...]
    precisions: measures.Grid | None
    shipped: str
    decisions: measures.Grid | None
    lineage: tuple[tuple[str, str], ...]
    neighbours: tuple[tuple[str, str, str], ...]
    made_from: str


def style_page(
    style: Evidence, midi: dict[int, str], neighbours: Mapping[str, Evidence], copy: Copy | None = None
) -> StylePage:
    """Return the page of one style.

    Parameters
    ----------
    style
        With its notes and snapshots, as `farm.website.made_from` reads them.
    midi
        Keys of the MIDI files of the pick's samples, by the sample's number from 1.
    neighbours
        The styles before ('prev') and after ('next') in the catalog, where there are any.
    copy
        The longest copied passage and its source, where both are at hand.
    """
    model, verdict, pick = style.model, style.verdict, style.pick
    quality = section(model.get("quality"))
    marks = _marks(style, verdict, quality, pick)
    takes = listening.listening(style.takes, pick, midi, _UP)
    copies = copy_section(style, copy, sum(len(take.samples) for take in takes))
    version, run = whole(model.get("version")), model.get("run")
    return StylePage(
        title=title_of(style),
        heading=title_of(style),
        style=style.style,
        root="../",
        badges=_badges(model, verdict),
        failure_stage=stage_of(style.failure),
        failure_lines=message_lines(style.failure) if style.failure else (),
        problems=style.problems,
        reason=_reason(verdict, style.failure),
        chosen=_chosen(verdict),
        flags=flags(verdict.get("flags")),
        facts=_facts(style, verdict, quality) if model else (),
        listen=listening.lead(takes, pick, is_fit(verdict) or bool(verdict.get("overruled_by"))),
        takes=takes,
        slider=slider(style),
        sounds=listening.sounds(takes, copies.sides if copies else ()),
        pictures=f"../pictures/{page_name(style.style).removesuffix('.html')}",
        growing=growing(style.history, style.snapshots, marks),
        figure=figures.curves(style.history, marks),
        caption=_caption(marks),
        epochs=measures.epochs_table(style.history, style.sampled_epochs, pick),
        candidates=measures.candidates_table(records(verdict.get("candidates")), pick),
        quality=measures.quality_table(quality),
        copies=copies,
        recipes=recipes_section(model),
        corpus=corpus_section(style),
        sources=tuple(origin.source_view(source) for source in records(section(model.get("corpus")).get("sources"))),
        files=tuple(origin.file_view(file, _UP) for file in records(model.get("files"))),
        precisions=shipping.precision_table(model.get("precision_loss")),
        shipped=shipping.against_shipped(model),
        decisions=measures.decisions_table(records(model.get("decisions"))),
        lineage=origin.lineage_pairs(style),
        neighbours=tuple((way, title_of(other), page_name(other.style)) for way, other in neighbours.items()),
        made_from="No model is published yet." if version is None else f"Version {version}, from run {run}.",
    )


def _badges(model: dict[str, Any], verdict: dict[str, Any]) -> tuple[Mark, ...]:
    if not model:
        return (Mark("not finished", "bad", 0), *([verdict_mark(verdict)] if verdict else []))
    compared = shipping.outcome_mark(model)
    return (verdict_mark(verdict), status_mark(model), *([compared] if compared else []))


def _chosen(verdict: dict[str, Any]) -> str:
    """Return whose choice the published epoch is, where it is not the rule's."""
    overruled = section(verdict.get("overruled_by"))
    if not overruled:
        return ""
    rule = whole(overruled.get("picked", verdict.get("epoch")))
    told = f"A person chose epoch {overruled.get('epoch')}"
    told += "; the rule picked none" if rule is None else f" over the rule’s epoch {rule}"
    return f"{told}: {overruled.get('why') or 'no reason was left'}"


def _marks(style: Evidence, verdict: dict[str, Any], quality: dict[str, Any], pick: int | None) -> figures.Marks:
    plateau = section(verdict.get("plateau"))
    blow_up = verdict.get("blow_up")
    return figures.Marks(
        pick=pick,
        first=whole(plateau.get("first")),
        flat=whole(plateau.get("flat")),
        blow_up=whole(blow_up["epoch"] if isinstance(blow_up, dict) and "epoch" in blow_up else blow_up),
        repetition_ends=whole(verdict.get("repetition_ends")),
        copying_begins=whole(verdict.get("copying_begins")),
        ngram_bits=number(quality.get("ngram_bits_per_note")),
        sampled=style.sampled_epochs,
    )


def _caption(marks: figures.Marks) -> str:
    parts = ["Bits per note after each epoch, on the training music and on music held out; lower is better."]
    if marks.ngram_bits is not None:
        parts.append("The dashed line is what an n-gram model reaches.")
    if marks.first is not None:
        parts.append("The shaded band is the plateau, where the curve has levelled off.")
    if marks.sampled:
        parts.append("Ticks at the foot are the snapshots that were asked to compose.")
    if marks.repetition_ends is not None or marks.copying_begins is not None:
        parts.append("The strip tells what their samples did: loop, be good, copy.")
    if marks.blow_up is not None:
        parts.append("At the red line training broke and did not recover.")
    return " ".join(parts)


def _reason(verdict: dict[str, Any], failure: dict[str, Any]) -> str:
    """Return the sentence of the verdict; empty where the failure has said it."""
    reason = verdict.get("reason")
    told = " ".join(str(part) for part in reason) if isinstance(reason, list) else str(reason or "")
    return "" if told and told in str(failure.get("message")) else told


def _facts(style: Evidence, verdict: dict[str, Any], quality: dict[str, Any]) -> tuple[Fact, ...]:
    epoch, last = style.pick, style.history.epochs[-1:]
    bits, ngram = quality.get("val_bits_per_note"), quality.get("ngram_bits_per_note")
    file, network = model_file(style.model), section(style.model.get("network"))
    confidence, cost = number(verdict.get("confidence")), section(style.model.get("cost"))
    return (
        Fact("Picked epoch", MISSING if epoch is None else str(epoch), f"of {last[0]}" if last else ""),
        Fact("Confidence", MISSING if confidence is None else share(confidence), "that this is the epoch"),
        Fact("Bits per note", decimals(bits), f"n-gram {decimals(ngram)}"),
        Fact("Model file", size(file.get("bytes")), f"{count(network.get('weights'))} weights"),
        Fact("Training", duration(cost.get("seconds")), str(cost.get("device") or "")),
    )
