"""Model files as scripts beside the page of a pack, which a page that was opened from a file manager may run, not read.

Conventions
-----------
`page/<style>.js` calls `farmModel` with the bytes of the file, 15 bits in each character from U+3400 on, the first bit
the highest. It is UTF-16 with a byte order mark, which no server's idea of an encoding overrules: 1.07 bytes for one,
where base64 takes 1.33.
"""

import numpy as np

SCRIPTS = "page/"

_FIRST_CHARACTER = 0x3400
_BITS = 15


def script_name(style: str) -> str:
    """Return the name in the pack of the script that holds the model of a style."""
    return f"{SCRIPTS}{style}.js"


def model_script(style: str, data: bytes) -> bytes:
    """Return the script that hands the bytes of a model file to the page.

    Examples
    --------
    >>> model_script("bach", b"abc").decode("utf-16")
    'farmModel("bach","\u64b1\u4cc0");\\n'
    """
    padded = np.frombuffer(data + bytes(-len(data) % _BITS), np.uint8).reshape(-1, _BITS)  # 15 bytes are 8 characters
    bytes_of = np.append(padded, np.zeros((len(padded), 1), np.uint8), axis=1).astype(np.uint32).T
    characters = np.empty((len(padded), 8), "<u2")
    for at in range(8):
        first, offset = divmod(at * _BITS, 8)
        three = bytes_of[first] << 16 | bytes_of[first + 1] << 8 | bytes_of[min(first + 2, _BITS)]
        characters[:, at] = (three >> (24 - _BITS - offset) & (1 << _BITS) - 1) + _FIRST_CHARACTER
    told = characters.reshape(-1)[: -(-8 * len(data) // _BITS)]
    before, after = (text.encode("utf-16-le") for text in (f'\ufefffarmModel("{style}","', '");\n'))
    return before + told.tobytes() + after


def script_bytes(style: str, model_bytes: int) -> int:
    """Return the size of the script for a model file of `model_bytes`.

    Examples
    --------
    >>> script_bytes("bach", 3) == len(model_script("bach", b"abc"))
    True
    """
    return len(model_script(style, b"")) + 2 * -(-8 * model_bytes // _BITS)
