"""Why a file or a note was left out, in a sentence: the one place that explains the readers' words.

Conventions
-----------
A reason in the pieces table is a word, or a word with a detail after a colon; the word is looked up. A word that is
not here has no sentence, and stands on the page as it is.
"""

_FILES = {
    "archive-bomb": "The archive would unpack to far more than any music needs, so it was left packed.",
    "changed": "The file changed after it was listed; run the same command again.",
    "crash": "The reader broke down on this file; nothing but this file was lost.",
    "damaged": "The inside of the file is broken, and what it meant cannot be told safely.",
    "drums-only": "Only drums play, and there is no melody or harmony to learn from.",
    "duplicate-name": "Its archive holds two files of this name, and the first one was read.",
    "encrypted": "It is locked with a password; unpack its archive and name the folder.",
    "hidden": "The name begins with a dot; such files belong to programs, not to a collection.",
    "memory": "Reading it needed more memory than one file is allowed.",
    "no-notes": "The file is sound, but there is no note in it.",
    "no-piano": "No piano plays in it, and this style's settings take piano only.",
    "not-a-file": "A folder, a pipe or a device goes by this name.",
    "not-music": "It is no music in a known format, whatever its name says; often a web page saved as .mid.",
    "note-loss": "The reader returned fewer notes than the file holds, so its reading is not trusted.",
    "over-limit": "The 'limit' of its source in corpora.yaml was reached before it.",
    "same-bytes": "It is an exact copy of another file of this style.",
    "same-folder": "A link to a folder that was listed under another path.",
    "same-notes": "Another file of this style holds the same notes, under another name or in another key.",
    "timeout": "Reading it took longer than one file is allowed.",
    "too-big": "It holds more bytes, tracks or notes than one file is allowed.",
    "too-dense": "It has more notes in a second than this style's settings allow.",
    "too-few-seconds": "It is shorter than this style's settings allow.",
    "too-long": "All of it lies later than any piece lasts; its clock is damaged.",
    "too-many-seconds": "It is longer than this style's settings allow.",
    "too-short": "It has too few notes to be learned from.",
    "too-silent": "Nothing sounds in it for longer than this style's settings allow.",
    "too-sparse": "It has fewer notes in a second than this style's settings allow.",
    "truncated": "The file ends before its music does; fetching it again may help.",
    "unreadable": "It could not be opened: no permission, a broken disk or a broken archive.",
    "unsafe-path": "Its path leads out of its archive, so it was not unpacked.",
    "unsupported": "The format is known but this kind of it is not read; save it as another.",
}
_NOTES = {
    "beyond-limit": "They lie beyond the length up to which a piece is read.",
    "drums": "Drums have no pitch that a melody could use.",
    "grace": "Ornaments that take no time of their own.",
    "no-note-off": "Nothing in the file says when they end.",
    "not-melody": "Not the line on top, and this style's settings take the melody only.",
    "out-of-range": "They lie outside the 128 pitches of MIDI.",
    "other-instrument": "Not played on a piano, and this style's settings take piano only.",
    "tied": "They prolong the note before them, which is counted once with its whole length.",
    "unpitched": "They are percussion or noise without a pitch.",
    "zero-length": "They end in the moment they begin.",
}


def why_file(word: str) -> str:
    """Return what it means that a file was left out for a reason; empty for a word that is not known.

    Examples
    --------
    >>> why_file("no-notes")
    'The file is sound, but there is no note in it.'
    """
    return _FILES.get(word, "")


def why_note(word: str) -> str:
    """Return what it means that notes of a piece were left out for a reason; empty for a word that is not known."""
    return _NOTES.get(word, "")
