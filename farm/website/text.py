"""Words, numbers and links as the report shows them: one place decides how a value looks and what is safe to show.

Conventions
-----------
Every function takes whatever a file held and gives text; a value that is missing or not of its kind is
`MISSING`, never an exception. Text that comes from file names and configs is not trusted: `visible` spells out
what a reader could not see, the templates escape the rest.
"""

import json
import math
import unicodedata
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup

MISSING = "—"
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_PITCHES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def visible(text: str) -> str:
    """Return `text` with every character that leaves no mark, or turns the line round, spelt out as ⟨U+202E⟩.

    Examples
    --------
    >>> visible("a\\u202eb")
    'a⟨U+202E⟩b'
    """
    return "".join(f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in _UNSEEN else char for char in text)


def shown(value: Any) -> Any:
    """Return a template's value ready to be escaped: text made visible, None as `MISSING`, markup as it is."""
    if value is None:
        return MISSING
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value)


def number(value: Any) -> float | None:
    """Return a finite number as float, anything else (null, NaN, text, true) as None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def whole(value: Any) -> int | None:
    """Return a finite number rounded to an integer, anything else as None."""
    found = number(value)
    return None if found is None else round(found)


def decimals(value: Any, places: int = 2) -> str:
    found = number(value)
    return MISSING if found is None else f"{found:.{places}f}"


def count(value: Any) -> str:
    found = whole(value)
    return MISSING if found is None else f"{found:,}"


def plural(value: Any, one: str, many: str = "") -> str:
    """Return a count with its noun: '1 note', '200 notes'; `many` where an s does not do."""
    found = whole(value)
    return f"{count(found)} {one if found == 1 else many or one + 's'}"


def share(value: Any) -> str:
    """Return a share of 1 in per cent, with a decimal below 10 %.

    Examples
    --------
    >>> share(0.034), share(0.72), share(None)
    ('3.4 %', '72 %', '—')
    """
    found = number(value)
    if found is None:
        return MISSING
    return f"{found:.0%}".replace("%", " %") if found == 0 or abs(found) >= 0.1 else f"{100 * found:.1f} %"


def size(n_bytes: Any) -> str:
    """Return a file size in powers of ten, as file managers and app stores count."""
    found = number(n_bytes)
    if found is None:
        return MISSING
    for unit, name in _SIZES:
        if found >= unit:
            return f"{found / unit:.2f} {name}" if found < 10 * unit else f"{found / unit:.0f} {name}"
    return f"{found:.0f} bytes"


def duration(seconds: Any) -> str:
    """Return a stretch of time with its two largest units.

    Examples
    --------
    >>> duration(9.4), duration(251), duration(7300)
    ('9 s', '4 min 11 s', '2 h 1 min')
    """
    found = whole(seconds)
    if found is None:
        return MISSING
    if found < 60:
        return f"{found} s"
    if found < 3600:
        return f"{found // 60} min {found % 60} s"
    return f"{found // 3600} h {found % 3600 // 60} min"


def clock(seconds: Any) -> str:
    """Return a stretch of time as minutes and seconds, as players and scores write it: '4:05'."""
    found = whole(seconds)
    return MISSING if found is None else f"{found // 60}:{found % 60:02d}"


def shortened(text: str, most: int = 120) -> str:
    """Return a text of at most `most` characters, its middle left out where it is longer.

    Examples
    --------
    >>> shortened("a/very/long/path.mid", 11)
    'a/ver….mid'
    """
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[len(text) - half + 1 :]}"


def pitch_name(pitch: int) -> str:
    """Return a MIDI pitch as a musician writes it; 60 is C4, and no line breaks at the minus of B−1."""
    return f"{_PITCHES[pitch % 12]}{pitch // 12 - 1}".replace("-", "−")


def web_link(url: Any) -> str | None:
    """Return an address that may be a link, percent-quoted; None unless it is plain http or https.

    Addresses with a user name in them are no links: 'https://bank.example@elsewhere' deceives.
    """
    if not isinstance(url, str) or visible(url) != url or "\\" in url:
        return None
    try:
        parts = urlsplit(url.strip())
        named = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not named or "@" in parts.netloc:
        return None
    return quote(url.strip(), safe="%/:=&?~#+!$,;'()*[]")


def file_link(key: Any, up: int) -> str | None:
    """Return a relative link to a file under the artifacts folder from a page `up` folders deep, or None.

    None for anything that is not a plain relative key: absolute, with '..', empty parts or a drive letter.
    """
    if not isinstance(key, str) or visible(key) != key or "\\" in key:
        return None
    parts = key.split("/")
    if any(part in ("", ".", "..") or ":" in part for part in parts):
        return None
    return "../" * up + "/".join(quote(part) for part in parts)


def script_data(value: Any) -> Markup:
    """Return `value` as JSON that may stand inside a script element: nothing in it can close or open a tag."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
