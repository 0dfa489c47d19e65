"""A starting agreement for a local partnership, filled in with its parties and dates, for people to edit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from elsewhere.agreement.terms import Party, Validity
from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.fields import format_instant


def starting_agreement(*, id: str, title: str, validity: Validity, parties: Sequence[Party]) -> str:
    """Write the TOML text of a first agreement.

    Args:
        id: short name of the agreement, in the form of an agency id.
        title: what people call it.
        validity: when it is in force and looked at again.
        parties: two or more; another one can be added by `party_entry` at any time.

    Returns:
        Text that `agreement_from_toml` reads; people edit it before anyone signs.
    """
    text = files(__package__).joinpath("template.toml").read_text("utf-8")
    return Template(text).substitute(
        id=_quote(id),
        title=_quote(title),
        vocabulary=_quote(vocabulary().version),
        valid_from=format_instant(validity.valid_from),
        valid_until=format_instant(validity.valid_until),
        review_by=format_instant(validity.review_by),
        parties="".join(f"\n{party_entry(party)}" for party in parties),
    )


def party_entry(party: Party) -> str:
    """Write the `[[parties]]` entry of one agency, to be added to an agreement's text."""
    lines = ["[[parties]]"]
    for name, value in party.to_json().items():
        lines.append(f"{name} = {str(value).lower() if isinstance(value, bool) else _quote(str(value))}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """Write a TOML basic string; JSON's escapes are among TOML's, and printable text needs no others."""
    return json.dumps(text, ensure_ascii=False)
