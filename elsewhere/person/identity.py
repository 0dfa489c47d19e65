"""A child as somebody wrote the child down: names, birth date, postcodes, numbers; or an unborn child.

Holds:    what was written, not what it means: folding and judging are done where it is used, so that a
          commitment to a person does not depend on today's rules.
Sees:     personal data. It does not print: a Person's repr names the fields that are filled, no values.
Refuses:  only what no record can hold (too long, too many, control characters); never an odd value.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

import rfc8785

from elsewhere.errors import PersonMalformed
from elsewhere.person.dates import PartialDate, parse_date

NAME_USES = ("usual", "official", "temp", "nickname", "anonymous", "old", "maiden")
TEXT_LIMIT = 200
LIST_LIMIT = 16
_FORM = 1


@dataclass(frozen=True, slots=True, repr=False)
class Name:
    """One name of a person: first names in order as written, family name, and what it is used for."""

    given: tuple[str, ...]
    family: str
    use: str = "usual"

    def __post_init__(self) -> None:
        if self.use not in NAME_USES:
            raise PersonMalformed("names", "expected a use out of " + ", ".join(NAME_USES))
        _check_texts("names", (*self.given, self.family))

    def __repr__(self) -> str:
        return f"Name(use={self.use!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Unborn:
    """What is known of an expected child: its mother and when it is due."""

    names: tuple[Name, ...] = ()
    birth_date: PartialDate | None = None
    nhs_number: str | None = None
    due_date: PartialDate | None = None

    def __post_init__(self) -> None:
        if len(self.names) > LIST_LIMIT:
            raise PersonMalformed("unborn", f"expected at most {LIST_LIMIT} names of the mother")
        _check_texts("unborn", (self.nhs_number or "",))

    def __repr__(self) -> str:
        return "Unborn()"


class Written(TypedDict, total=False):
    """A person in plain strings, as a form or a command line gives one. Every field may be left out."""

    given: str | Sequence[str]
    family: str
    dob: str | datetime.date | PartialDate | None
    postcode: str | None
    past_postcodes: Sequence[str]
    nhs_number: str | None
    upn: str | None
    aliases: Sequence[str | Name]
    mother_given: str | Sequence[str]
    mother_family: str
    mother_dob: str | datetime.date | PartialDate | None
    mother_nhs_number: str | None
    due_date: str | datetime.date | PartialDate | None


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """One child (or expected child) as one source wrote it. `postcodes`: current first, then past ones."""

    names: tuple[Name, ...] = ()
    birth_date: PartialDate | None = None
    postcodes: tuple[str, ...] = ()
    nhs_number: str | None = field(default=None)
    upn: str | None = None
    unborn: Unborn | None = None

    def __post_init__(self) -> None:
        if len(self.names) > LIST_LIMIT or len(self.postcodes) > LIST_LIMIT:
            raise PersonMalformed("names or postcodes", f"expected at most {LIST_LIMIT} of each")
        _check_texts("postcodes", self.postcodes)
        _check_texts("nhs_number", (self.nhs_number or "",))
        _check_texts("upn", (self.upn or "",))

    def __repr__(self) -> str:
        filled = [name for name in self.__slots__ if getattr(self, name)]
        return f"Person(filled={filled})"

    @classmethod
    def of(cls, **written: Unpack[Written]) -> Person:
        """Make a person from plain strings; see `Written`.

        Args:
            written: dates as "2019-03-07" or "07/03/2019" (also "2019-03", "2019"); several first
                names apart by spaces; an alias as "Billy Jones", "Jones, Billy" or "Billy" (family as is).

        Raises:
            PersonMalformed: a text is too long or holds control characters; `.field` says which.
        """
        names = _written_names(written.get("given", ()), written.get("family", ""))
        family = written.get("family", "")
        names += tuple(_written_alias(alias, family) for alias in written.get("aliases", ()) if alias)
        postcodes = (written.get("postcode") or "", *written.get("past_postcodes", ()))
        return cls(
            names=names,
            birth_date=_written_date(written.get("dob")),
            postcodes=tuple(code.strip() for code in postcodes if code and code.strip()),
            nhs_number=_written_text(written.get("nhs_number")),
            upn=_written_text(written.get("upn")),
            unborn=_written_unborn(written),
        )

    def canonical(self) -> bytes:
        """Return the one byte string for this person (RFC 8785 JSON), for commitments and for storage."""
        return rfc8785.dumps(_person_to_json(self))

    @classmethod
    def from_canonical(cls, data: bytes) -> Person:
        """Read what `canonical` wrote.

        Raises:
            PersonMalformed: other bytes, also ones that say the same in another spelling.
        """
        try:
            person = _person_from_json(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # The cause would quote the person.
            raise PersonMalformed("person", "expected a person in canonical form") from None
        if person.canonical() != data:
            raise PersonMalformed("person", "expected the canonical spelling of a person")
        return person

    @classmethod
    def from_mais(cls, document: Mapping[str, object]) -> Person:
        """Read a MAIS Person object; see `elsewhere.person.mais`."""
        from elsewhere.person.mais import person_from_mais

        return person_from_mais(document)

    def to_mais(self) -> dict[str, object]:
        """Write a MAIS Person object; see `elsewhere.person.mais`."""
        from elsewhere.person.mais import person_to_mais

        return person_to_mais(self)


def _check_texts(where: str, texts: Sequence[str]) -> None:
    """Refuse what no record can hold."""
    if len(texts) > LIST_LIMIT:
        raise PersonMalformed(where, f"expected at most {LIST_LIMIT} parts")
    for text in texts:
        if len(text) > TEXT_LIMIT:
            raise PersonMalformed(where, f"expected at most {TEXT_LIMIT} characters")
        # Cc and Cs: control characters and lone surrogates, which have no UTF-8.
        if not text.isprintable() and any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in text):
            raise PersonMalformed(where, "expected text without control characters")


def _written_text(text: str | None) -> str | None:
    """A stripped text, or None for a blank one."""
    return (text or "").strip() or None


def _written_date(value: str | datetime.date | PartialDate | None) -> PartialDate | None:
    """A date from any of the forms that `Written` takes."""
    if isinstance(value, str):
        _check_texts("birth_date", (value,))
        return parse_date(value)
    if isinstance(value, datetime.datetime):
        return PartialDate(value.date())
    return PartialDate(value) if isinstance(value, datetime.date) else value


def _written_names(given: str | Sequence[str], family: str) -> tuple[Name, ...]:
    """One usual name, or none where nothing was written."""
    parts = given.split() if isinstance(given, str) else [part.strip() for part in given if part.strip()]
    return (Name(tuple(parts), family.strip()),) if parts or family.strip() else ()


def _written_alias(alias: str | Name, family: str) -> Name:
    """An alias: "Jones, Billy", "Billy Jones", or a first name alone that keeps the family name."""
    if isinstance(alias, Name):
        return alias
    if "," in alias:
        last, _, first = alias.partition(",")
        return Name(tuple(first.split()), last.strip(), "nickname")
    words = alias.split()
    return Name(tuple(words[:1]), " ".join(words[1:]) or family.strip(), "nickname")


def _written_unborn(written: Written) -> Unborn | None:
    """The mother and due date, if anything of them was written."""
    unborn = Unborn(
        names=_written_names(written.get("mother_given", ()), written.get("mother_family", "")),
        birth_date=_written_date(written.get("mother_dob")),
        nhs_number=_written_text(written.get("mother_nhs_number")),
        due_date=_written_date(written.get("due_date")),
    )
    return None if unborn == Unborn() else unborn


def _person_to_json(person: Person) -> dict[str, Any]:
    """Every field, always, so that nothing can be read two ways."""
    unborn = person.unborn
    return {
        "form": _FORM,
        "names": [_name_to_json(name) for name in person.names],
        "birth_date": _date_to_json(person.birth_date),
        "postcodes": list(person.postcodes),
        "nhs_number": person.nhs_number,
        "upn": person.upn,
        "unborn": None
        if unborn is None
        else {
            "names": [_name_to_json(name) for name in unborn.names],
            "birth_date": _date_to_json(unborn.birth_date),
            "nhs_number": unborn.nhs_number,
            "due_date": _date_to_json(unborn.due_date),
        },
    }


def _name_to_json(name: Name) -> dict[str, Any]:
    return {"given": list(name.given), "family": name.family, "use": name.use}


def _date_to_json(value: PartialDate | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "date": value.date.isoformat() if value.date else None,
        "accuracy": value.accuracy,
        "written": value.written,
    }


def _person_from_json(document: dict[str, Any]) -> Person:
    unborn = document["unborn"]
    return Person(
        names=tuple(_name_from_json(name) for name in document["names"]),
        birth_date=_date_from_json(document["birth_date"]),
        postcodes=tuple(document["postcodes"]),
        nhs_number=document["nhs_number"],
        upn=document["upn"],
        unborn=None
        if unborn is None
        else Unborn(
            names=tuple(_name_from_json(name) for name in unborn["names"]),
            birth_date=_date_from_json(unborn["birth_date"]),
            nhs_number=unborn["nhs_number"],
            due_date=_date_from_json(unborn["due_date"]),
        ),
    )


def _name_from_json(document: dict[str, Any]) -> Name:
    return Name(tuple(document["given"]), document["family"], document["use"])


def _date_from_json(document: dict[str, Any] | None) -> PartialDate | None:
    if document is None:
        return None
    date = document["date"]
    return PartialDate(
        None if date is None else datetime.date.fromisoformat(date), document["accuracy"], document["written"]
    )
