"""A researcher's folder: who they are, their keys, and what they have verified.

Holds:    the Ed25519 key that signs queries, locked with a passphrase where there is one; a TLS key with the
          certificate for it. Each a file of mode 0600.
Refuses:  a folder that is another researcher's; key files that others can read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elsewhere.agreement.studies import Researcher
from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.enrolment import ADDRESS
from elsewhere.errors import DocumentInvalid, ElsewhereError, NotCanonical
from elsewhere.fields import Fields, as_text
from elsewhere.keyfiles import read_secret, replace_file, write_secret
from elsewhere.passphrase import LEAST_PASSPHRASE, lock, read_locked, unlock
from elsewhere.random import RandomBytes
from elsewhere.roster import AGENCY_ID
from elsewhere.signing import KEY_BYTES, SigningKey

ABOUT: Final = "researcher.json"
SIGNING_KEY: Final = Path("keys") / "signing.key"
TLS_PAIR: Final = Path("keys") / "tls.pem"
STUDIES: Final = "studies"
_KIND: Final = "elsewhere researcher key 1"
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


class NotEnrolled(ElsewhereError):
    """The folder is no researcher's, or was not enrolled yet. Run 'elsewhere research init TOKEN' first."""

    code = "research.not_enrolled"


class KeyLocked(ElsewhereError):
    """The passphrase does not open the researcher's key, is too short, or the file is no such key."""

    code = "research.locked"


@dataclass(frozen=True, slots=True)
class About:
    """Who the folder's owner is, and where their federation's gateways are."""

    researcher: str
    name: str
    organisation: str
    federation: str
    key: bytes  # 32 bytes, Ed25519, public
    gateways: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("researcher", "federation"):
            as_text(getattr(self, name), name, AGENCY_ID)
        for name in ("name", "organisation"):
            as_text(getattr(self, name), name)

    @property
    def entry(self) -> Researcher:
        """What the stewards are to list in the agreement."""
        return Researcher(self.researcher, self.name, self.organisation, self.key)

    def to_bytes(self) -> bytes:
        """Write the file."""
        return canonical_json(
            {
                "researcher": self.researcher,
                "name": self.name,
                "organisation": self.organisation,
                "federation": self.federation,
                "key": self.key.hex(),
                "gateways": list(self.gateways),
            }
        )


def read_about(folder: Path) -> About:
    """Read whose folder it is.

    Raises:
        NotEnrolled: nobody's.
    """
    try:
        fields = Fields(parse_canonical((folder / ABOUT).read_bytes()))
        found = About(
            researcher=fields.text("researcher", AGENCY_ID),
            name=fields.text("name"),
            organisation=fields.text("organisation"),
            federation=fields.text("federation", AGENCY_ID),
            key=fields.octets("key", KEY_BYTES),
            gateways=fields.texts("gateways", ADDRESS),
        )
        fields.done()
    except (OSError, DocumentInvalid, NotCanonical):
        raise NotEnrolled(f"expected a researcher's folder; {ABOUT} is missing or was changed") from None
    return found


def write_about(folder: Path, about: About) -> None:
    """Write whose folder it is."""
    replace_file(folder / ABOUT, about.to_bytes())


def make_signing_key(folder: Path, *, passphrase: str, random: RandomBytes) -> SigningKey:
    """Make the key that signs queries, in a new file.

    Args:
        folder: holds `keys`.
        passphrase: locks it; empty for none.
        random: returns n random bytes.

    Raises:
        KeyLocked: the passphrase is too short.
        FileExistsError: there is a key already.
    """
    if passphrase and len(passphrase) < LEAST_PASSPHRASE:
        raise KeyLocked(f"expected a passphrase of at least {LEAST_PASSPHRASE} characters, or none")
    key = SigningKey.generate(random)
    shown: dict[str, Json] = {"kind": _KIND, "key": key.public.hex()}
    secret: dict[str, Json] = (
        lock(key.seed, passphrase, shown, random) if passphrase else {"seed": key.seed.hex()}
    )
    write_secret(folder / SIGNING_KEY, canonical_json({**shown, **secret}))
    return key


def is_locked(folder: Path) -> bool:
    """Whether the key takes a passphrase; raises KeyFileMissing, KeyFileExposed, KeyLocked."""
    return not _key_fields(folder).has("seed")


def read_signing_key(folder: Path, passphrase: str = "") -> SigningKey:
    """Read the key that signs queries.

    Raises:
        KeyFileMissing, KeyFileExposed: not there, or others can read it.
        KeyLocked: another passphrase, or not such a key.
    """
    try:
        fields = _key_fields(folder)
        shown: dict[str, Json] = {"kind": fields.choice("kind", (_KIND,)), "key": fields.text("key")}
        if fields.has("seed"):
            return SigningKey.from_seed(fields.octets("seed", KEY_BYTES))
        seed = unlock(read_locked(fields, KEY_BYTES), passphrase, shown)
    except DocumentInvalid:
        raise KeyLocked("expected a researcher's key; the file is none") from None
    if seed is None:
        raise KeyLocked("expected the passphrase that the key was made with; this one fails")
    return SigningKey.from_seed(seed)


def read_pair(folder: Path) -> tuple[bytes, bytes]:
    """Read the TLS key and its certificate; raises NotEnrolled, KeyFileExposed."""
    if not (folder / TLS_PAIR).exists():
        raise NotEnrolled("expected a certificate; run 'elsewhere research init TOKEN' first")
    key_pem, mark, rest = read_secret(folder / TLS_PAIR).partition(_CERTIFICATE)
    return key_pem, mark + rest


def write_pair(folder: Path, key_pem: bytes, cert_pem: bytes) -> None:
    """Put a TLS key and its certificate in the place of an older pair, both in one step."""
    replace_file(folder / TLS_PAIR, key_pem + cert_pem)


def _key_fields(folder: Path) -> Fields:
    try:
        return Fields(parse_canonical(read_secret(folder / SIGNING_KEY)))
    except (DocumentInvalid, NotCanonical):
        raise KeyLocked("expected a researcher's key; the file is none") from None
