"""Writes names of other scripts in Latin letters, by stated tables: for the name lists of the demonstration.

Run by:   tools/demo_names.py only. No product code uses these tables, and they use none of its.
Source:   Cyrillic: BGN/PCGN 1947 (Russian) and the Ukrainian resolution 55 of 2010, without apostrophes.
          Tamil: ISO 15919 without diacritics, long vowels short. Sorani: the usual Kurdish Latin letters
          without accents; the short i that the script leaves out stays out.
"""

from __future__ import annotations

import functools

# Each is "letter=Latin" in a row.
_RUSSIAN = (
    "а=a б=b в=v г=g д=d е=e ё=yo ж=zh з=z и=i й=y к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=ts "
    "ч=ch ш=sh щ=shch ъ= ы=y ь= э=e ю=yu я=ya"
)
_UKRAINIAN = (
    # where it differs from the Russian
    "г=h и=y й=i ґ=g є=ie і=i ї=i '="
)
_TAMIL = "க=k ங=ng ச=s ஜ=j ஞ=n ட=t ண=n த=th ந=n ன=n ப=p ம=m ய=y ர=r ற=r ல=l ள=l ழ=zh வ=v ஷ=sh ஸ=s ஹ=h"
_TAMIL_VOWELS = "அ=a ஆ=a இ=i ஈ=i உ=u ஊ=u எ=e ஏ=e ஐ=ai ஒ=o ஓ=o ஔ=au"
_TAMIL_SIGNS = "ா=a ி=i ீ=i ு=u ூ=u ெ=e ே=e ை=ai ொ=o ோ=o ௌ=au ்="
_SORANI = (
    "ا=a ب=b پ=p ت=t ج=j چ=ch ح=h خ=kh د=d ر=r ڕ=r ز=z ژ=zh س=s ش=sh ع= غ=gh ف=f ڤ=v ق=q ک=k گ=g ل=l ڵ=l "
    "م=m ن=n ه=h ە=e ھ=h ێ=e ۆ=o ئ="
)


@functools.cache
def _table(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(" "))
    return {letter: written for letter, _, written in pairs}


def latin(script: str, name: str) -> str:
    """Return the name in Latin letters; `script`: russian, ukrainian, tamil or sorani."""
    if script == "tamil":
        return _tamil(name)
    if script == "sorani":
        return _sorani(name)
    table = _table(_RUSSIAN) | (_table(_UKRAINIAN) if script == "ukrainian" else {})
    written = "".join(table.get(letter, letter) for letter in name.lower().replace("’", ""))
    return written.replace("iyya", "iya").title()


def _tamil(name: str) -> str:
    """Consonants carry an a unless a sign says otherwise."""
    consonants, vowels, signs = _table(_TAMIL), _table(_TAMIL_VOWELS), _table(_TAMIL_SIGNS)
    text, bare = "", False
    for letter in name:
        if letter in signs:
            text, bare = (text.removesuffix("a") if bare else text) + signs[letter], False
        elif letter in consonants:
            text, bare = f"{text}{consonants[letter]}a", True
        elif letter in vowels:
            text, bare = text + vowels[letter], False
        elif letter in " -":
            text, bare = text + letter, False
        else:
            return ""
    return text.replace("thth", "th").title()


def _sorani(name: str) -> str:
    """Waw and ya are consonants beside a vowel and vowels elsewhere."""
    name = name.replace("ك", "ک").replace("ي", "ی").replace("ى", "ی").replace("وو", "U")
    table, text = _table(_SORANI), ""
    for at, letter in enumerate(name):
        if letter in "وی":
            after = name[at + 1 : at + 2]
            vowel = (at > 0 and name[at - 1] not in "اەێۆئ ") and after not in ("ا", "ە", "ێ", "ۆ")
            text += {"و": "uw", "ی": "iy"}[letter][not vowel]
        elif letter == "U":
            text += "u"
        elif letter in table or letter in " -":
            text += table.get(letter, letter)
        else:
            return ""
    return text.title()
