"""A steward's own key, locked with a passphrase; the card handed over to be listed; what was signed before.

Holds:    an Ed25519 private key while it is unlocked. It stays with the person, never on a gateway or a node.
Refuses:  a wrong passphrase, a short one, a key file that others can read, a second roster of one version.
Source:   elsewhere/passphrase.py for the lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import DocumentInvalid, ElsewhereError, NotCanonical
from elsewhere.fields import Fields
from elsewhere.keyfiles import read_secret, replace_file, write_secret
from elsewhere.passphrase import LEAST_PASSPHRASE, lock, read_locked, unlock
from elsewhere.random import RandomBytes
from elsewhere.roster import DIGEST_BYTES, MAX_VERSION, Roster, Steward
from elsewhere.signing import KEY_BYTES, SigningKey

MAX_CARD_BYTES: Final = 16 * 1024
_KIND, _CARD = "elsewhere steward key 1", "elsewhere steward card 1"


class StewardKeyLocked(ElsewhereError):
    """The passphrase does not open the steward's key, is too short, or the file is no such key."""

    code = "steward.locked"


class StewardCardInvalid(ElsewhereError):
    """The file is no steward's card. Ask the steward for the one that 'elsewhere steward show' writes."""

    code = "steward.card"


class SignedAlready(ElsewhereError):
    """This key has signed another roster of that version, or a later one, or for another federation.

    Two rosters of one version split the members. Ask the gateway's operator which one is in force.
    """

    code = "steward.signed_already"


@dataclass(frozen=True, slots=True)
class StewardKey:
    """An unlocked key and whose it is."""

    steward: Steward
    signing: SigningKey


def make_steward(path: Path, agency_id: str, name: str, *, passphrase: str, random: RandomBytes) -> Steward:
    """Make a steward's key and write it, locked, into a new file of mode 0600.

    Args:
        path: must not be there yet.
        agency_id: for whom the steward will sign.
        name: of the person.
        passphrase: at least 12 characters.
        random: returns n random bytes.

    Raises:
        StewardKeyLocked: the passphrase is too short.
        DocumentInvalid: an impossible agency id or name.
        FileExistsError: there is such a file. Nothing was changed.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise StewardKeyLocked(f"expected a passphrase of at least {LEAST_PASSPHRASE} characters")
    signing = SigningKey.generate(random)
    steward = Steward(agency_id, name, signing.public)
    shown = {"kind": _KIND, **steward.to_json()}
    locked = lock(signing.seed, passphrase, shown, random)
    write_secret(path, canonical_json({**shown, **locked}) + b"\n")
    return steward


def read_steward(path: Path) -> Steward:
    """Say whose key a file holds, without opening it; raises as `unlock_steward`."""
    return _read(path)[0]


def unlock_steward(path: Path, passphrase: str) -> StewardKey:
    """Open a steward's key.

    Raises:
        KeyFileExposed, KeyFileMissing: others can read the file, or it is not there.
        StewardKeyLocked: another passphrase, or not a steward's key.
    """
    steward, shown, locked = _read(path)
    seed = unlock(locked, passphrase, shown)
    if seed is None:
        raise StewardKeyLocked("expected the passphrase that the key was made with; this one fails")
    return StewardKey(steward, SigningKey.from_seed(seed))


def write_card(steward: Steward) -> bytes:
    """Write the card: public, to be handed to the gateway's operator."""
    return canonical_json({"kind": _CARD, **steward.to_json()}) + b"\n"


def open_card(file: bytes) -> Steward:
    """Read a steward's card; its fingerprint is yet to be compared by voice.

    Raises:
        StewardCardInvalid: not a card.
    """
    try:
        if len(file) > MAX_CARD_BYTES:
            raise DocumentInvalid("file", f"expected at most {MAX_CARD_BYTES} bytes")
        fields = Fields(parse_canonical(file.removesuffix(b"\n")))
        fields.choice("kind", (_CARD,))
        return Steward.from_fields(fields)
    except (DocumentInvalid, NotCanonical) as err:
        raise StewardCardInvalid(f"expected a steward's card: {err}") from None


def check_not_signed(path: Path, genesis: bytes, roster: Roster) -> None:
    """Return only if signing a roster contradicts nothing that was signed with this key before.

    Args:
        path: the key's file; what was signed is noted beside it.
        genesis: digest of the federation's first roster.
        roster: to be signed.

    Raises:
        SignedAlready: another federation, a later roster, or another one of this version.
    """
    noted = _noted(path)
    if noted is None:
        return
    of, version, digest = noted
    if of != genesis:
        raise SignedAlready("expected the federation that this key has signed for; this is another")
    if roster.version < version:
        raise SignedAlready(f"this key has signed roster {version}; {roster.version} would go back behind it")
    if roster.version == version and roster.digest != digest:
        raise SignedAlready(f"this key has signed another roster {version}")


def note_signed(path: Path, genesis: bytes, roster: Roster) -> None:
    """Note beside a key which roster is signed with it, before the signature is given away."""
    note: Json = {"genesis": genesis.hex(), "version": roster.version, "digest": roster.digest.hex()}
    replace_file(_note_of(path), canonical_json(note))


def _noted(path: Path) -> tuple[bytes, int, bytes] | None:
    """What was signed last: federation, version, digest; None for nothing yet."""
    try:
        file = _note_of(path).read_bytes()
    except FileNotFoundError:
        return None
    fields = Fields(parse_canonical(file))
    return (
        fields.octets("genesis", DIGEST_BYTES),
        fields.integer("version", 1, MAX_VERSION),
        fields.octets("digest", DIGEST_BYTES),
    )


def _note_of(path: Path) -> Path:
    """Where what was signed is noted."""
    return path.with_name(path.name + ".signed")


def _read(path: Path) -> tuple[Steward, dict[str, Json], tuple[bytes, bytes, bytes]]:
    """The parts of a locked key: whose, what is shown of it, and what is locked."""
    try:
        fields = Fields(parse_canonical(read_secret(path).removesuffix(b"\n")))
        locked = read_locked(fields, KEY_BYTES)
        fields.choice("kind", (_KIND,))
        steward = Steward.from_fields(fields)
    except (DocumentInvalid, NotCanonical) as err:
        raise StewardKeyLocked(f"expected a steward's key in {path.name}: {err}") from None
    return steward, {"kind": _KIND, **steward.to_json()}, locked
