"""The agreement at the gateway: a text that people edit, and the newest version signed from it.

Holds:    agreement.toml, the operator's; agreement.json, what was signed last.
Refuses:  to sign a text that does not hold. A version never goes back, whatever number the text states.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from elsewhere.agreement.document import agreement_from_toml, open_agreement, sign_agreement
from elsewhere.agreement.template import party_entry, starting_agreement
from elsewhere.agreement.terms import Agreement, Party, Validity
from elsewhere.enrolment import JoinRequest
from elsewhere.errors import ConfigInvalid, DocumentInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.signing import SigningKey
from elsewhere.toml import TomlInvalid, parse_toml
from gateway.folder import AGREEMENT_FILE

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
            f"expected {TEXT_FILE} in the gateway's folder; run 'elsewhere gateway init' first"
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


def sign_next(directory: Path, text: str, key: SigningKey) -> bytes | None:
    """Sign the text as the version after the one signed last, unless it says the same.

    Returns:
        The envelope, new or the one held; None while there are fewer than two parties to agree.

    Raises:
        DocumentInvalid: `.key` and `.line` say what to correct in the text. Nothing was signed.
    """
    if len(_party_ids(text)) < LEAST_PARTIES:
        return None
    wanted = agreement_from_toml(text)
    envelope, held = _held(directory, key)
    if held is None:
        return sign_agreement([key], wanted)
    if replace(wanted, version=held.version).digest == held.digest:
        return envelope
    return sign_agreement([key], replace(wanted, version=max(wanted.version, held.version + 1)))


def signed_version(directory: Path, key: SigningKey) -> int | None:
    """The version signed last; None if there is none yet."""
    held = _held(directory, key)[1]
    return None if held is None else held.version


def _held(directory: Path, key: SigningKey) -> tuple[bytes, Agreement | None]:
    """What was signed last, verified even though it is our own."""
    try:
        envelope = (directory / AGREEMENT_FILE).read_bytes()
    except FileNotFoundError:
        return b"", None
    return envelope, open_agreement(envelope, [key.public])


def _party_ids(text: str) -> list[str]:
    """The agencies that the text lists, before the rest of it is checked."""
    try:
        parties = parse_toml(text).get("parties", [])
    except TomlInvalid:
        agreement_from_toml(text)  # refuses it, naming the line
        raise
    return [str(party.get("agency_id")) for party in parties if isinstance(party, dict)]
