"""The verdict in sentences a musician understands, built from the numbers and true to the curve.

Conventions
-----------
Short sentences, the pick first, then the curve, the samples, and what to do when nothing is fit to use.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from farm.selection.candidates import Candidate, Levels, Onsets, faults
from farm.selection.choosing import Pick
from farm.selection.curve import Curve

_LATE_SHARE = 0.75  # of the epochs judged, after which a gain of the held-out loss is a late one
_TURNED_SHARE = 0.01  # of its drop: more lost since the best and the held-out loss gets worse
_LESS_COPYING = "give it more music, more dropout or more snapshots."
_CLASSES = {
    "not-converged": "Training stopped while it was still learning; allow it more epochs and minutes.",
    "did-not-learn": "The network did not learn; look at the learning rate and at the music that was read.",
    "blew-up": "Training broke before it had levelled off; lower the learning rate.",
    "unstable": "The loss never settled; lower the learning rate.",
    "loops": "Every snapshot to trust still repeats itself; train longer, or give it more music.",
    "copies": "Every snapshot to trust that no longer repeats itself copies its sources; " + _LESS_COPYING,
    "too-random": "Every snapshot to trust is still too random; train longer.",
    "memorizes-before-fluent": "It copies its sources before it stops repeating itself; " + _LESS_COPYING,
}
_LEVELLED = {
    "loops": "Every snapshot to trust repeats itself, and longer training would not change it: the curve is flat; "
    "give it more music.",
    "too-random": "Every snapshot to trust is too random, and the curve is flat: give it more music, or let it compose "
    "at a lower temperature (samples in the recipe).",
}


def tell(
    curve: Curve,
    candidates: Sequence[Candidate],
    onsets: Onsets,
    against: Levels,
    pick: Pick,
) -> str:
    """Return why this epoch, or why none, as sentences with a space between them."""
    epoch, verdict, why = pick.epoch, pick.verdict, pick.why
    provisional = verdict in ("not-converged", "blew-up", "unstable")
    if epoch is None:
        head = "No epoch is fit to use."
    else:
        head = f"Epoch {epoch} is the best there is, for now." if provisional else f"Epoch {epoch} is the pick."
    sentences = [head, *_about_nearest(pick.nearest, onsets), *_about_curve(curve, epoch, why == "turned")]
    heard = [candidate for candidate in candidates if candidate.heard]
    if heard:
        sentences += _about_samples(heard, onsets, against, epoch, why)
    elif epoch is not None:
        sentences.append("No samples were judged, only the curve.")
    if why == "no-safe-snapshot":
        what = "from before the trouble" if curve.blow_up is not None else "of the epochs to trust"
        sentences.append(f"No snapshot was kept {what}; save more often.")
    if curve.metrics.n_recorded == 0:
        sentences.append("Train first.")
    elif verdict == "not-converged" and _by_heart(curve):
        sentences.append(
            "Training stopped while it was still learning, but by heart; more music or a common base helps most."
        )
    elif curve.converged and verdict in _LEVELLED:
        sentences.append(_LEVELLED[verdict])
    elif verdict in _CLASSES:
        sentences.append(_CLASSES[verdict])
    return " ".join(sentences)


def _about_nearest(nearest: Candidate | None, onsets: Onsets) -> list[str]:
    """Return which snapshot comes nearest to being fit, and what it lacks."""
    if nearest is None:
        return []
    words = {"copying": "it copies", "looping": "it repeats itself", "random": "it is too random"}
    lacks = " and ".join(words[fault] for fault in faults(nearest, onsets))
    if not lacks:
        begun = onsets.memo is not None and nearest.epoch > onsets.memo
        lacks = "copying has begun before it" if begun else "the snapshots beside it are worse, so it may be chance"
    return [f"Epoch {nearest.epoch} comes nearest, but {lacks}."]


def _about_curve(curve: Curve, epoch: int | None, is_turned: bool) -> list[str]:
    metrics = curve.metrics
    if len(metrics.loss) == 0:
        if metrics.n_recorded:
            return ["The very first loss is no number."]
        return ["There are no epochs with a training loss to judge."]
    index = int((metrics.epochs <= epoch).sum()) - 1 if epoch is not None else curve.region[1] - 1
    index = max(index, 0)
    at = "there" if epoch is not None else f"at epoch {int(metrics.epochs[index])}"
    way = "was" if index == 0 else f"went from {metrics.loss[0]:.2f} to"
    sentence = f"The training loss {way} {metrics.loss[index]:.2f} {at}"
    if metrics.accuracy is not None:
        sentence += f", with {metrics.accuracy[index]:.0%} of the notes right"
    told = ["It started from a trained base."] if curve.from_trained else []
    told.append(sentence + ".")
    if curve.plateau_first is not None and curve.verdict != "did-not-learn":
        told += [*_about_signal(curve, is_turned)]
    if metrics.retry is not None:
        broke_at, went_on = metrics.retry
        told.append(
            f"The loss broke at epoch {broke_at}; training went on from "
            f"{f'epoch {went_on}' if went_on else 'the start'} at a third of the learning rate."
        )
    if curve.blow_up is not None:
        what = {"jump": "jumped", "slow": "drifted away", "nan": "stopped being a number"}[curve.blow_up_kind]
        told.append(f"At epoch {curve.blow_up} the loss {what}; nothing from shortly before it on is trusted.")
    else:
        told.append(_about_health(curve))
    return told


def _about_health(curve: Curve) -> str:
    """Return what to say of a run that nothing ended."""
    recovered = [flag.partition("@")[2] for flag in curve.flags if flag.startswith("recovered@")]
    spikes = [flag.partition("@")[2] for flag in curve.flags if flag.startswith("spike@")]
    n = curve.metrics.n_recorded
    epochs = f"{n} epochs" if n != 1 else "its one epoch"
    if recovered:
        return f"It broke down and had recovered by epoch {recovered[-1]}; only what came after is judged."
    again = "broke down again" if curve.metrics.retry is not None else "broke down"
    but = ""
    if spikes:
        where = f"at epoch {spikes[0]}" if len(spikes) == 1 else f"at epochs {', '.join(spikes)}"
        but = f", but for short spikes {where}" if len(spikes) > 1 else f", but for a short spike {where}"
    return f"It never {again} in {epochs}{but}."


def _by_heart(curve: Curve) -> bool:
    """Tell whether only the training loss still fell: the held-out loss rose, or gained nothing in the last quarter."""
    heldout, (begin, end) = curve.heldout, curve.region
    if heldout is None:
        return False
    return heldout.rises or heldout.rise > _TURNED_SHARE or heldout.first < _LATE_SHARE * (end - begin)


def _about_signal(curve: Curve, is_turned: bool) -> list[str]:
    epochs, heldout = curve.metrics.epochs, curve.heldout
    told = []
    if heldout is not None and heldout.usable:
        first, best = (int(epochs[curve.region[0] + index]) for index in (heldout.first, heldout.best))
        lowest = (
            f"the loss on music held out from training is as good as its best ({heldout.best_loss:.2f}, epoch {best})"
        )
        if heldout.rise <= _TURNED_SHARE:
            return [f"T{lowest[1:]} from epoch {first} on and does not turn up, so it decides."]
        if curve.from_trained:
            return [f"At epoch {first} {lowest}, and it turns up later, so it asks for that epoch."]
        return [f"T{lowest[1:]} from epoch {first} on and turns up but little, so it decides."]
    if curve.converged:
        told.append(f"Most of the way was done at epoch {curve.plateau_first}")
        told[0] += f" and the curve is flat from epoch {curve.plateau_flat}." if curve.plateau_flat is not None else "."
    if heldout is not None and is_turned:
        first, best = (int(epochs[curve.region[0] + index]) for index in (heldout.first, heldout.best))
        since = f"from epoch {first} on as good as its best ({heldout.best_loss:.2f}, epoch {best})"
        told.append(
            f"The loss on held-out music was {since} and rose later: what is learnt then is learnt by heart, so the "
            f"first snapshot from epoch {first} on is taken whose samples hold."
        )
    elif heldout is not None and (heldout.rises or (not curve.converged and _by_heart(curve))):
        first, best = (int(epochs[curve.region[0] + index]) for index in (heldout.first, heldout.best))
        told.append(
            f"The loss on held-out music was best at epoch {best} and rose after it, so it does not decide."
            if heldout.rises or heldout.rise > _TURNED_SHARE
            else f"The loss on held-out music hardly fell after epoch {first}."
        )
    return told


def _about_samples(
    heard: Sequence[Candidate], onsets: Onsets, against: Levels, epoch: int | None, why: str
) -> list[str]:
    told = []
    if not onsets.by_greedy and any(candidate.looping_greedy for candidate in heard):
        every = all(candidate.looping_greedy is not False for candidate in heard)
        told.append(
            f"The likeliest continuation loops in {'every snapshot' if every else 'some snapshots'}, which the drawn "
            "samples need not do, so these were held against people instead."
        )
    told += [_about_loops(heard, onsets), _about_copies(heard, onsets, against)]
    quote = next((c.quote for c in heard if c.epoch == epoch and c.one_copies and c.quote), None)
    if quote is not None:
        told.append(f"Sample {quote['sample'] + 1} of it quotes {told_quote(quote)}; listen to it.")
    if epoch is not None and why in ("later", "earlier"):
        told.append(
            f"The curve alone would have taken {'an earlier' if why == 'later' else 'a later'} epoch; "
            "the samples moved it."
        )
    return told


def _about_loops(heard: Sequence[Candidate], onsets: Onsets) -> str:
    """Return when the loops end, and whether they come back."""
    by_greedy = onsets.by_greedy
    bad = [c.epoch for c in heard if (bool(c.looping_greedy) if by_greedy else c.looping or c.loose)]
    told = {
        "loop more than people do": any(c.looping for c in heard),
        "stray from the style": any(c.loose for c in heard),
    }
    if by_greedy:
        what = "The likeliest continuation repeats itself"
    else:
        what = "The samples " + " or ".join(words for words, is_so in told.items() if is_so)
    if onsets.fluent is None:
        return f"{what} in {'every snapshot' if len(bad) == len(heard) else 'all but single snapshots'}."
    back = sum(epoch > onsets.fluent for epoch in bad)
    again = f", and again in {back} of the later snapshots" if back else ""
    if onsets.fluent > heard[0].epoch:
        return f"{what} until epoch {onsets.fluent}{again}."
    if bad:
        return f"{what} in {len(bad)} of {len(heard)} snapshots, but not in the first."
    return "No snapshot repeats itself too much." if by_greedy else "Loops and variety are within people's range."


def _about_copies(heard: Sequence[Candidate], onsets: Onsets, against: Levels) -> str:
    """Return whether and when copying begins, and where the line is."""
    if against.quotes is not None and any("excess_mean" in c.measures for c in heard):
        unit = "what people quote" if against.quotes.by_people else "what people usually quote"
        line = f"the line is {against.quotes.line:.2f} times"
        if onsets.memo is not None:
            worst = next(c for c in heard if c.epoch == onsets.memo)
            most = f"the samples quote {worst.measures.get('excess_mean', 0.0):.2f} times {unit}, on average"
            place = f", the worst {told_quote(worst.quote)}" if worst.quote else ""
            return f"Copying begins at epoch {onsets.memo}: {most}{place}; {line}."
        highest = max(c.measures.get("excess_mean", 0.0) for c in heard)
        return f"Copying never takes hold: the samples quote at most {highest:.2f} times {unit}, on average; {line}."
    line = f"the line is {against.copy_notes:.0f}" + (", as far as people's own reach" if against.by_people else "")
    if onsets.memo is not None:
        longest = next(c.measures["lcs_mean"] for c in heard if c.epoch == onsets.memo)
        what = f"the longest matches with the corpus are {longest:.0f} notes on average"
        return f"Copying begins at epoch {onsets.memo}: {what}; {line}."
    longest = max((c.measures.get("lcs_mean", 0.0) for c in heard), default=0.0)
    what = f"the longest matches with the corpus are at most {longest:.0f} notes on average"
    return f"Copying never takes hold: {what}; {line}."


def told_quote(quote: Mapping[str, Any]) -> str:
    """Return a quote in words: how much, of what, from where; bars as a musician counts them."""
    kind = {"tune": " of the tune", "bass": " of the bass"}.get(quote["view"], "")
    what = f"{quote['notes']} {'chords' if quote['view'] == 'chords' else 'notes'}{kind}"
    place = f" of {quote['piece']}" + ("" if quote["bar"] is None else f", bar {quote['bar'] + 1}")
    altered = ("", ", one note altered", f", altered in {quote['altered']} places")[min(quote["altered"], 2)]
    return what + place + altered
