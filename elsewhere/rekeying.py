"""A member's wish for another signing key: public, for the stewards to list it in the next roster or not.

Sees:     public keys and an agency's id.
Refuses:  a wish not signed with both keys: nobody gives a member a key that it does not hold, and a thief of
          the new one alone has nothing. Whoever has stolen the one in force could sign one too, so stewards
          compare the fingerprint by voice, as when the agency joined.
Source:   docs/keys.md, "The signing key".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from elsewhere.canonical import parse_canonical
from elsewhere.errors import DocumentInvalid, ElsewhereError
from elsewhere.fields import Fields
from elsewhere.roster import AGENCY_ID, Roster
from elsewhere.signing import KEY_BYTES, SigningKey, open_document, sign_document, unverified_payload

REKEYING_TYPE: Final = "application/vnd.elsewhere.rekeying.v1+json"
MAX_REKEYING_BYTES: Final = 4 * 1024


class RekeyingInvalid(ElsewhereError):
    """A file is no wish for another signing key, or not one of a member, signed with both keys.

    Have the agency make it again with 'elsewhere node rotate signing'.
    """

    code = "rekeying.invalid"


@dataclass(frozen=True, slots=True)
class Rekeying:
    """Who wants which key."""

    agency_id: str
    signing_key: bytes  # 32 bytes, Ed25519: to be the agency's in the roster


def sign_rekeying(agency_id: str, held: SigningKey, coming: SigningKey) -> bytes:
    """Write a wish.

    Args:
        agency_id: whose.
        held: the key that the roster lists.
        coming: the one to be listed.

    Returns: a DSSE envelope with two signatures, and a newline.
    """
    payload = {"agency_id": agency_id, "signing_key": coming.public.hex()}
    return sign_document([held, coming], REKEYING_TYPE, {**payload}) + b"\n"


def open_rekeying(file: bytes, roster: Roster) -> Rekeying:
    """Read a wish.

    Args:
        file: as it came.
        roster: in force; its member's key is the one in force.

    Raises:
        RekeyingInvalid: not of a member, or not signed with both its keys.
    """
    envelope = file.removesuffix(b"\n")
    try:
        if len(envelope) > MAX_REKEYING_BYTES:
            raise DocumentInvalid("file", f"expected at most {MAX_REKEYING_BYTES} bytes")
        wish = _read(Fields(parse_canonical(unverified_payload(envelope, REKEYING_TYPE))))
        member = roster.member(wish.agency_id)
        if member is None:
            raise DocumentInvalid("agency_id", "expected a member")
        if member.signing_key == wish.signing_key:
            raise DocumentInvalid("signing_key", "expected another key than the one in force")
        open_document(envelope, REKEYING_TYPE, [member.signing_key, wish.signing_key], quorum=2)
    except ElsewhereError as err:
        raise RekeyingInvalid(f"expected a member's wish for another signing key: {err}") from None
    return wish


def _read(fields: Fields) -> Rekeying:
    """Read the payload."""
    found = Rekeying(fields.text("agency_id", AGENCY_ID), fields.octets("signing_key", KEY_BYTES))
    fields.done()
    return found
