"""The options that say which child a command is about: a field each, or all in a file.

Sees:     the child, as typed; nothing of it reaches an error message.
Refuses:  no child at all, and one given by options and a file at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from elsewhere.person.identity import Person, Written

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.option(
    "--person", "person_file", metavar="FILE", help="The child as JSON; '-' is standard input."
)
# Named as the fields of `Written`, which they become.
_FIELDS = {
    "given": click.option("--given", help="First names, in order."),
    "family": click.option("--family", help="Family name."),
    "dob": click.option("--dob", help="Birth date: 2015-03-02, 02/03/2015, 2015-03 or 2015."),
    "postcode": click.option("--postcode", help="Postcode where the child lives."),
    "past_postcodes": click.option(
        "--past-postcode", "past_postcodes", multiple=True, help="An earlier one. Repeatable."
    ),
    "nhs_number": click.option("--nhs-number", help="NHS number."),
    "upn": click.option("--upn", help="Unique pupil number."),
    "aliases": click.option(
        "--alias", "aliases", multiple=True, help="Another name: 'Billy Jones' or 'Billy'. Repeatable."
    ),
    "mother_given": click.option("--mother-given", help="Unborn child: first names of the mother."),
    "mother_family": click.option("--mother-family", help="Unborn child: family name of the mother."),
    "mother_dob": click.option("--mother-dob", help="Unborn child: birth date of the mother."),
    "mother_nhs_number": click.option("--mother-nhs-number", help="Unborn child: NHS number of the mother."),
    "due_date": click.option("--due-date", help="Unborn child: when it is due."),
}


def person_options(command: Command) -> Command:
    """Give a command the options that `person_from` reads."""
    for option in reversed((_FILE, *_FIELDS.values())):
        command = option(command)
    return command


def person_from(given: Mapping[str, Any]) -> Person:
    """Give the person from the options, or from the file.

    Raises:
        click.UsageError: neither was given, or both.
        PersonMalformed: as `read_person_file`.
    """
    from elsewhere.cli.person_file import read_person_file
    from elsewhere.person.identity import Person

    written = {name: given[name] for name in _FIELDS if given[name]}
    if given["person_file"] is None:
        if not written:
            raise click.UsageError("say something of the child: --given, --family, --dob ... or --person")
        return Person.of(**cast("Written", written))
    if written:
        raise click.UsageError("give the child by --person or by the other options, not by both")
    return read_person_file(given["person_file"])
