"""A person between desk.proto and `elsewhere.person`: what the asker wrote arrives as it was written.

Sees:     the child asked about, inside the asking agency only.
Refuses:  what no record can hold, by the name of the field; an odd date or number passes and is not used.
Source:   proto/elsewhere/wire/v1/desk.proto, PersonInput.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from elsewhere.errors import PersonMalformed
from elsewhere.person.dates import WRITTEN_LIMIT, PartialDate, parse_date
from elsewhere.person.identity import LIST_LIMIT, Name, Person, Unborn
from elsewhere.wire.v1 import desk_pb2

_ISO = ("%Y-%m-%d",)


def person_to_wire(person: Person) -> desk_pb2.PersonInput:
    """Encode a person; `person_from_wire` gives the same one back."""
    message = _names_to_wire(person.names)
    message.birth_date, message.birth_date_accuracy = _date_to_wire(person.birth_date)
    message.postcodes.extend(person.postcodes)
    message.nhs_number = person.nhs_number or ""
    message.upn = person.upn or ""
    if person.unborn is not None:
        message.unborn.CopyFrom(_unborn_to_wire(person.unborn))
    return message


def person_from_wire(message: desk_pb2.PersonInput) -> Person:
    """Read and check a person.

    Raises:
        PersonMalformed: too long, too many, control characters, or a field that has no place; `.field` says
            which. An impossible date or a wrong check digit is no reason: it is only not used.
    """
    unborn = _unborn_from_wire(message.unborn) if message.HasField("unborn") else None
    # Kept with the child, who will live there: matching reads one list of postcodes.
    mothers = message.unborn.mother.postcodes if message.HasField("unborn") else ()
    return Person(
        names=_names_from_wire(message),
        birth_date=_date_from_wire(message.birth_date, message.birth_date_accuracy, "birth_date"),
        postcodes=tuple(dict.fromkeys((*message.postcodes, *mothers)))
        if mothers
        else tuple(message.postcodes),
        nhs_number=message.nhs_number or None,
        upn=message.upn or None,
        unborn=unborn,
    )


def _names_to_wire(names: tuple[Name, ...]) -> desk_pb2.PersonInput:
    """The first usual name as the main one, unless a blank of another would then be filled in from it."""
    main = names[0] if names else Name((), "")
    others = names[1:]
    fits = main.use == "usual" and all(
        (other.given or not main.given) and (other.family or not main.family) for other in others
    )
    if not fits or not (main.given or main.family):
        main, others = Name((), ""), names
    aliases = (desk_pb2.AliasInput(given=o.given, family=o.family, use=o.use) for o in others)
    return desk_pb2.PersonInput(given=main.given, family=main.family, aliases=aliases)


def _names_from_wire(message: desk_pb2.PersonInput) -> tuple[Name, ...]:
    """The main name if there is one, then the others with their blanks filled in from it."""
    if len(message.aliases) > LIST_LIMIT:
        raise PersonMalformed("aliases", f"expected at most {LIST_LIMIT}")
    main = Name(tuple(message.given), message.family)
    others = (
        Name(tuple(alias.given) or main.given, alias.family or main.family, alias.use or "usual")
        for alias in message.aliases
    )
    return (*((main,) if main.given or main.family else ()), *others)


def _unborn_to_wire(unborn: Unborn) -> desk_pb2.UnbornInput:
    mother = _names_to_wire(unborn.names)
    mother.birth_date, mother.birth_date_accuracy = _date_to_wire(unborn.birth_date)
    mother.nhs_number = unborn.nhs_number or ""
    due, accuracy = _date_to_wire(unborn.due_date)
    return desk_pb2.UnbornInput(mother=mother, due_date=due, due_date_accuracy=accuracy)


def _unborn_from_wire(message: desk_pb2.UnbornInput) -> Unborn:
    mother = message.mother
    if mother.upn or mother.HasField("unborn"):
        raise PersonMalformed("unborn.mother", "expected no UPN of hers, and no further unborn child")
    return Unborn(
        names=_names_from_wire(mother),
        birth_date=_date_from_wire(mother.birth_date, mother.birth_date_accuracy, "unborn.mother"),
        nhs_number=mother.nhs_number or None,
        due_date=_date_from_wire(message.due_date, message.due_date_accuracy, "due_date"),
    )


def _date_to_wire(date: PartialDate | None) -> tuple[str, str]:
    """The date, or what was written in its place, and how well it is known."""
    if date is None:
        return "", ""
    return (date.date.isoformat() if date.date else date.written), date.accuracy


def _date_from_wire(text: str, accuracy: str, field: str) -> PartialDate | None:
    """A date, or text that is none and is only kept; refuses control characters and over-long text."""
    if not text and not accuracy:
        return None
    if len(text) > WRITTEN_LIMIT or not _is_plain(text):
        raise PersonMalformed(field, f"expected at most {WRITTEN_LIMIT} characters, none a control character")
    read = parse_date(text, _ISO)
    if read is not None and read.date is not None:
        return replace(read, accuracy=accuracy) if accuracy else read
    return PartialDate(None, accuracy or "UUU", text)


def _is_plain(text: Iterable[str]) -> bool:
    return all(letter >= " " for letter in text)
