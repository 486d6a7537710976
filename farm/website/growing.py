"""The picture of training growing: epoch by epoch the curve, and under it what the network composed there.

Conventions
-----------
An animated GIF and, to be seen before it is played, its last picture as PNG. Pictures are drawn in a palette of a few
colours, half as large again as they are shown, so that the browser smooths their edges. Equal input gives equal bytes.
Colours are those of the light page; the dark one turns them round.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from farm.website.evidence import History, Take
from farm.website.figures import Marks, bits_range
from farm.website.pianoroll import Note, end_beat
from farm.website.scales import ticks

WIDTH, HEIGHT = 960, 500
MOST_FRAMES = 40
MOST_BYTES = 300_000
_FRAME_MS, _LAST_MS = 220, 2500
_PALETTE = (
    *((255, 255, 255), (33, 37, 43), (95, 102, 112), (221, 216, 204), (169, 101, 26), (29, 111, 147)),
    *((125, 90, 134), (37, 112, 74), (168, 50, 45), (29, 92, 107)),
)
_PAPER, _INK, _MUTED, _LINE, _TRAIN, _HELD, _NGRAM, _GOOD, _BAD, _ACCENT = range(len(_PALETTE))
_LEFT, _RIGHT = 60, 940
_CURVE = (48, 268)  # top and foot
_ROLL = (316, 484)
_MOST_NOTES = 600  # of a sample: what can still be told apart


@dataclass(frozen=True)
class Growing:
    """The animation, its last picture, and what it shows in a sentence."""

    gif: bytes
    png: bytes
    said: str


@dataclass(frozen=True)
class _Axes:
    last: int
    bottom: float
    top: float
    beats: float
    low: int
    high: int

    def x(self, epoch: float) -> float:
        return _LEFT + (epoch - 1) / max(self.last - 1, 1) * (_RIGHT - _LEFT)

    def y(self, bits: float) -> float:
        top, foot = _CURVE
        inside = min(max((bits - self.bottom) / (self.top - self.bottom), 0.0), 1.0)
        return foot - inside * (foot - top)


def growing(history: History, takes: Sequence[Take], marks: Marks) -> Growing | None:
    """Return the picture of one training; None for fewer than two epochs.

    Parameters
    ----------
    takes
        What snapshots composed, by epoch; the first sample of each is drawn. None are needed.
    """
    if len(history.epochs) < 2:
        return None
    epochs = _frames(history.epochs, [take.epoch for take in takes])
    bottom, top = bits_range([history.bits, history.heldout_bits], marks)
    drawn = {take.epoch: take.samples[0].notes[:_MOST_NOTES] for take in takes if take.samples}
    notes = [note for sample in drawn.values() for note in sample]
    low, high = min((note[2] for note in notes), default=48), max((note[2] for note in notes), default=72)
    beats = max((end_beat(sample) for sample in drawn.values()), default=0.0) or 1.0
    axes = _Axes(history.epochs[-1], bottom, top, beats, low, high)
    ground = _ground(axes, marks)
    pictures = [_picture(ground, axes, history, marks, drawn, epoch) for epoch in epochs]
    gif = _gif(pictures)
    while len(gif) > MOST_BYTES and len(pictures) > 2:
        pictures = [*pictures[:-1:2], pictures[-1]]
        gif = _gif(pictures)
    png = io.BytesIO()
    pictures[-1].save(png, "PNG", optimize=True)
    what = "the curve as it grows, and under it what the network composed at each snapshot" if drawn else "the curve"
    return Growing(gif, png.getvalue(), f"Training from epoch {epochs[0]} to {epochs[-1]}: {what}")


def _gif(pictures: Sequence[Image.Image]) -> bytes:
    sink = io.BytesIO()
    durations = [_FRAME_MS] * (len(pictures) - 1) + [_LAST_MS]
    pictures[0].save(
        sink, "GIF", save_all=True, append_images=list(pictures[1:]), duration=durations, loop=0, optimize=False
    )
    return sink.getvalue()


def _frames(epochs: Sequence[int], sampled: Sequence[int]) -> list[int]:
    """Return the epochs to draw: those with samples where there are enough, else all; the last one always."""
    inside = [epoch for epoch in sampled if epochs[0] <= epoch <= epochs[-1]]
    chosen = inside if len(inside) > 1 else list(epochs)
    if len(chosen) > MOST_FRAMES:
        step = (len(chosen) - 1) / (MOST_FRAMES - 1)
        chosen = [chosen[round(place * step)] for place in range(MOST_FRAMES)]
    return sorted({*chosen, epochs[-1]})


def _ground(axes: _Axes, marks: Marks) -> Image.Image:
    """Return what every picture stands on: frame, levels of the curve, octaves, the line of the n-gram."""
    ground = Image.new("P", (WIDTH, HEIGHT), _PAPER)
    ground.putpalette([part for colour in _PALETTE for part in colour])
    pen = ImageDraw.Draw(ground)
    font = ImageFont.load_default(17)
    for bits in ticks(axes.bottom, axes.top, 4):
        y = axes.y(bits)
        pen.line((_LEFT, y, _RIGHT, y), _LINE)
        pen.text((_LEFT - 10, y), f"{bits:g}", _MUTED, font, anchor="rm")
    if marks.ngram_bits is not None:
        y = axes.y(marks.ngram_bits)
        for x in range(_LEFT, _RIGHT, 18):
            pen.line((x, y, x + 10, y), _NGRAM, 2)
        pen.text((_RIGHT, y - 4), "n-gram", _NGRAM, font, anchor="rb")
    pen.text((_LEFT, 16), "bits per note:", _MUTED, font, anchor="lm")
    pen.text((_LEFT + 122, 16), "training", _TRAIN, font, anchor="lm")
    pen.text((_LEFT + 200, 16), "held out", _HELD, font, anchor="lm")
    top, foot = _ROLL
    pen.line((_LEFT, _CURVE[1], _RIGHT, _CURVE[1]), _MUTED)
    pen.rectangle((_LEFT, top - 6, _RIGHT, foot + 6), outline=_LINE)
    pen.text((_LEFT, top - 24), "what it composes", _MUTED, font, anchor="lm")
    return ground


def _picture(
    ground: Image.Image,
    axes: _Axes,
    history: History,
    marks: Marks,
    drawn: dict[int, tuple[Note, ...]],
    epoch: int,
) -> Image.Image:
    picture = ground.copy()
    pen = ImageDraw.Draw(picture)
    for values, colour, width in ((history.bits, _TRAIN, 2), (history.heldout_bits, _HELD, 4)):
        _curve(pen, axes, history.epochs, values, epoch, colour, width)
    for mark, colour in ((marks.blow_up, _BAD), (marks.pick, _GOOD)):
        if mark is not None and mark <= epoch:
            pen.line((axes.x(mark), _CURVE[0], axes.x(mark), _CURVE[1]), colour, 2)
    is_pick = marks.pick == epoch
    pen.text((_RIGHT, 16), f"epoch {epoch}", _GOOD if is_pick else _INK, ImageFont.load_default(26), anchor="rm")
    if is_pick:
        pen.text((_RIGHT - 150, 18), "the pick:", _GOOD, ImageFont.load_default(17), anchor="rm")
    heard = [sampled for sampled in drawn if sampled <= epoch]
    if heard:
        _roll(pen, axes, drawn[max(heard)], _GOOD if max(heard) == marks.pick else _ACCENT)
    return picture


def _curve(
    pen: ImageDraw.ImageDraw, axes: _Axes, epochs: Sequence[int], values: Sequence[float], last: int, colour: int,
    width: int,
) -> None:  # fmt: skip
    points = [
        (axes.x(epoch), axes.y(value))
        for epoch, value in zip(epochs, values, strict=True)
        if epoch <= last and math.isfinite(value)
    ]
    if len(points) > 1:
        pen.line(points, colour, width, joint="curve")
    if points:
        x, y = points[-1]
        pen.ellipse((x - width - 2, y - width - 2, x + width + 2, y + width + 2), colour)


def _roll(pen: ImageDraw.ImageDraw, axes: _Axes, notes: Sequence[Note], colour: int) -> None:
    top, foot = _ROLL
    per_beat, per_key = (_RIGHT - _LEFT - 8) / axes.beats, (foot - top) / (axes.high - axes.low + 1)
    for onset, duration, pitch, _ in notes:
        x, y = _LEFT + 4 + onset * per_beat, top + (axes.high - pitch) * per_key
        pen.rectangle((x, y, x + max(duration * per_beat - 2, 1), y + max(per_key - 1, 1)), colour)
