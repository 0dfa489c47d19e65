"""Names as written -> words that compare: folding, titles, particles, placeholders.

Sees:     names as typed in any script, with titles, hyphens, apostrophes and jokes of data entry.
Promises: never raises on text; the same word always folds to the same letters; both sides of a lookup use it.
Refuses:  nothing. A name that says nothing about a person ("baby", "not known") folds to no words.
"""

from __future__ import annotations

import re
import unicodedata

from elsewhere.person.words import words

# Characters inside one word: O'Brien, D’Souza, Sa`id are one word each, as is a soft-hyphenated one.
_JOINERS = re.compile(r"['’‘ʼʻʹʽ`´ʿʾ\u00ad\u200b-\u200f\u2060\ufeff]")
_BREAKS = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Fold one piece of text to lower-case words of [a-z0-9] (or opaque letters), joined by single spaces.

    Returns: possibly the empty string; folding again changes nothing.
    """
    if text.isascii():
        plain = _JOINERS.sub("", text.lower())
    else:
        table = words().letters
        joined = _JOINERS.sub("", unicodedata.normalize("NFKC", text).casefold())
        # Before decomposing: Cyrillic й and Arabic أ have spellings of their own.
        spelt = unicodedata.normalize("NFKD", joined.translate(table))
        kept = "".join(letter for letter in spelt if not unicodedata.combining(letter))
        plain = _JOINERS.sub("", kept.translate(table).lower())
    return _BREAKS.sub(" ", plain).strip()


def is_placeholder(text: str) -> bool:
    """Whether a first name only fills the field: "Baby", "Infant of Jane", "Twin 2", "Not known", "-"."""
    table = words()
    folded = fold(text)
    parts = folded.split()
    if not parts or folded in table.phrases:
        return True
    fills = [part in table.placeholders or part in table.fillers or part.isdigit() for part in parts]
    if all(fills):
        return not table.placeholders.isdisjoint(parts) or folded.replace(" ", "").isdigit()
    # "Baby Jane" is Jane; "Baby of Jane", "Twin 2 Smith" and "Baby Girl Smith" name somebody else.
    return parts[0] in table.openings and (fills[1] or parts[1] in ("son", "daughter"))


def first_names(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the usable first names in order, each one folded word; () for a placeholder.

    A hyphenated name ("Mary-Jane") is one word; words apart ("Mary Jane") are several.
    """
    if is_placeholder(" ".join(given)):
        return ()
    table = words()
    folded = (fold(part).replace(" ", "") for written in given for part in written.split())
    return tuple(
        word
        for word in folded
        if word and word not in table.titles and word not in table.placeholders and not word.isdigit()
    )


def family_words(family: str) -> tuple[str, ...]:
    """Return the words of a family name in order without titles and particles; () for a placeholder.

    A name made of particles alone ("De", "Le", "Do" are family names too) keeps them. Mac is written Mc.
    """
    table = words()
    folded = fold(family)
    parts = folded.split()
    if folded in table.phrases or table.placeholders.issuperset(parts):
        return ()
    main = [part for part in parts if part not in table.particles and part not in table.titles] or parts
    return tuple(_shorten_mac(word) for word in _join_prefixes(main))


def _join_prefixes(parts: list[str]) -> list[str]:
    """Write Mc, Mac, O and St together with the word that follows: "Mc Donald", "O Brien"."""
    joined: list[str] = []
    for part in parts:
        if joined and joined[-1] in ("mc", "mac", "o", "st"):
            joined[-1] += part
        else:
            joined.append("st" if part == "saint" else part)
    return joined


def _shorten_mac(word: str) -> str:
    """Write mac as mc where a name goes on after it, so that MacDonald and McDonald are one."""
    return "mc" + word[3:] if word.startswith("mac") and len(word) > 5 else word
