"""The agreement at the gateway: a text that people edit, and what it says as the next version.

Holds:    agreement.toml, the operator's.
Refuses:  a text that does not hold. A version never goes back, whatever number the text states.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from elsewhere.agreement.document import agreement_from_toml
from elsewhere.agreement.template import party_entry, starting_agreement
from elsewhere.agreement.terms import Agreement, Party, Validity
from elsewhere.enrolment import JoinRequest
from elsewhere.errors import ConfigInvalid, DocumentInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.roster import Roster
from elsewhere.toml import TomlInvalid, parse_toml

TEXT_FILE: Final = "agreement.toml"
TERM_DAYS: Final = 365
LEAST_PARTIES: Final = 2


def found_text(directory: Path, federation: str, *, now: datetime) -> None:
    """Write a first text without parties, in force from today for a year, for people to edit."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    end = today + timedelta(days=TERM_DAYS)
    text = starting_agreement(
        id=federation,
        title=f"Sharing agreement of {federation}",
        validity=Validity(valid_from=today, valid_until=end, review_by=end),
        parties=(),
    )
    replace_file(directory / TEXT_FILE, text.encode("utf-8"))


def read_text(directory: Path) -> str:
    """Read the text; raises ConfigInvalid if it is not there, DocumentInvalid if it is not UTF-8."""
    try:
        return (directory / TEXT_FILE).read_text("utf-8")
    except FileNotFoundError:
        raise ConfigInvalid(
            f"expected {TEXT_FILE} in the gateway's folder; a further gateway has none: run this in the"
            " folder that was made first"
        ) from None
    except UnicodeDecodeError:
        raise DocumentInvalid("document", f"expected UTF-8 in {TEXT_FILE}") from None


def with_party(text: str, wish: JoinRequest) -> str:
    """Add an agency to the text; one that stands there already is left as people have written it.

    Raises:
        DocumentInvalid: its name, sector or duty contacts do not fit an agreement, or the text is not TOML.
    """
    party = Party(
        agency_id=wish.agency_id,
        name=wish.name,
        sector=wish.sector,
        duty_contact_in_hours=wish.contact_in_hours,
        duty_contact_out_of_hours=wish.contact_out_of_hours,
    )
    if wish.agency_id in _party_ids(text):
        return text
    return f"{text.rstrip()}\n\n{party_entry(party)}"


def next_agreement(text: str, held: Agreement | None, roster: Roster) -> Agreement | None:
    """What the text says, as the version after the one in force unless it says the same.

    Returns:
        The next version, or the one held, for more stewards to sign; None with fewer than two parties.

    Raises:
        DocumentInvalid: `.key` and `.line` say what to correct in the text.
    """
    if len(_party_ids(text)) < LEAST_PARTIES:
        return None
    wanted = agreement_from_toml(text)
    for index, party in enumerate(wanted.parties, 1):
        steward = roster.steward(party.agency_id)
        if party.steward_key is not None and (steward is None or steward.key != party.steward_key):
            raise DocumentInvalid(f"parties[{index}].steward_key", "expected the key that the roster lists")
    if held is None:
        return wanted
    same = replace(wanted, version=held.version)
    if same.digest == held.digest:
        return same
    return replace(wanted, version=max(wanted.version, held.version + 1))


def _party_ids(text: str) -> list[str]:
    """The agencies that the text lists, before the rest of it is checked."""
    try:
        parties = parse_toml(text).get("parties", [])
    except TomlInvalid:
        agreement_from_toml(text)  # refuses it, naming the line
        raise
    return [str(party.get("agency_id")) for party in parties if isinstance(party, dict)]
