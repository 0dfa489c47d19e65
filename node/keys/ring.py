"""All secrets of one agency's node, each in a file of its own under `keys/`.

Holds:    signing seed, sealing keys, one OPRF key a collection and epoch, and two local keys
          (for files at rest; for the pseudonyms that stand for practitioners).
Refuses:  to start when any of them can be read by others, or is missing or malformed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elsewhere.errors import KeyFileExposed, KeyFileMissing, MalformedKey
from elsewhere.keyfiles import destroy_secret, read_secret, replace_file, write_secret
from elsewhere.oprf.voprf import OprfKey, generate_key, public_key
from elsewhere.random import RandomBytes
from elsewhere.sealing import SealingKey
from elsewhere.signing import KEY_BYTES, SigningKey
from node.caseload.shields import INVOLVEMENT, PROTECTED

COLLECTIONS = (INVOLVEMENT, PROTECTED)
FIRST_EPOCH = 1
LOCAL_FILE = "local.key"
LOCAL_NEXT = "local-next.key"  # while `node.keys.local` encrypts everything anew
SIGNING_FILE = "signing.key"
SIGNING_NEXT = "signing-next.key"  # from its making until the roster lists it: `node.keys.signing`
EARLIER_FILE = "signing-earlier.pub"  # public halves of the signing keys before, the last one first
Name = tuple[str, int]  # collection, epoch
KeyId = tuple[str, int, bytes]  # collection, epoch, digest of the public key: which key, whatever its name
_SEALING_FILE = re.compile(r"sealing-(\d+)\.key")
_OPRF_FILE = re.compile(r"oprf-([a-z]+)-(\d+)\.key")


@dataclass(frozen=True, slots=True, eq=False)
class KeyRing:
    """Every secret of the node. Prints nothing."""

    signing: SigningKey = field(repr=False)
    sealing: tuple[SealingKey, ...] = field(repr=False)  # newest first; older ones until they are destroyed
    oprf: Mapping[Name, OprfKey] = field(repr=False)
    local: bytes = field(repr=False)  # 32 bytes: encrypts this node's files at rest
    pseudonym: bytes = field(repr=False)  # 32 bytes: from which each custodian's pseudonym key is derived
    earlier: tuple[bytes, ...] = ()  # public halves of the signing keys before, the last one first

    @classmethod
    def create(cls, directory: Path, *, tls_pem: bytes, random: RandomBytes) -> KeyRing:
        """Make all keys of a new node and write them.

        Args:
            directory: the node's folder; `keys/` must not exist in it yet.
            tls_pem: the TLS private key, PEM; its request goes to the gateway's operator.
            random: returns n random bytes.

        Raises:
            FileExistsError: the folder has keys already.
        """
        keys = directory / "keys"
        keys.mkdir(mode=0o700)
        write_secret(keys / SIGNING_FILE, SigningKey.generate(random).seed)
        write_secret(keys / "sealing-1.key", SealingKey.generate(random).to_bytes())
        for collection in COLLECTIONS:
            write_secret(keys / f"oprf-{collection}-{FIRST_EPOCH}.key", generate_key(random).scalar)
        write_secret(keys / "tls.key", tls_pem)
        write_secret(keys / LOCAL_FILE, random(32))
        write_secret(keys / "pseudonym.key", random(32))
        return cls.load(directory)

    @classmethod
    def load(cls, directory: Path) -> KeyRing:
        """Read all keys of a node.

        Raises:
            KeyFileExposed: the folder or a file in it is open to others; the node must not start.
            KeyFileMissing: one of them is absent or malformed.
        """
        keys = directory / "keys"
        if not keys.is_dir():
            raise KeyFileMissing(
                "expected the folder keys/ in the node's folder; run 'elsewhere node init' first"
            )
        if keys.stat().st_mode & 0o077:
            raise KeyFileExposed("expected keys/ with mode 0700; others can look into it")
        if (keys / LOCAL_NEXT).exists():
            # Half of what is at rest opens under the one key, half under the other.
            raise KeyFileMissing(
                "expected one local key; a change of it was not finished: run 'elsewhere node rotate local'"
            )
        try:
            return cls(
                signing=read_signing(directory),
                sealing=tuple(SealingKey.from_bytes(read_secret(path)) for path in _newest_first(keys)),
                oprf=_read_oprf(keys),
                local=_read_32(keys / LOCAL_FILE),
                pseudonym=_read_32(keys / "pseudonym.key"),
                earlier=read_earlier(directory),
            )
        except MalformedKey as err:
            raise KeyFileMissing(f"a file in keys/ is damaged: {err}") from None


def key_digest(public: bytes) -> bytes:
    """Give the 32 bytes by which a store remembers an OPRF key; they tell nothing of it."""
    return hashlib.sha256(public).digest()


def key_ids(keys: Mapping[Name, OprfKey]) -> frozenset[KeyId]:
    """Say which keys these are."""
    return frozenset((*name, key_digest(public_key(key))) for name, key in keys.items())


def read_signing(directory: Path) -> SigningKey:
    """Read the key that this node signs with, and no other. Raises as `KeyRing.load`."""
    return SigningKey.from_seed(read_secret(directory / "keys" / SIGNING_FILE))


def read_coming(directory: Path) -> SigningKey | None:
    """Read the signing key that waits for the roster to list it; None where none does."""
    try:
        return SigningKey.from_seed(read_secret(directory / "keys" / SIGNING_NEXT))
    except KeyFileMissing:
        return None


def read_earlier(directory: Path) -> tuple[bytes, ...]:
    """Read the public halves of this node's signing keys before, the last one first; 32 bytes each."""
    try:
        found = (directory / "keys" / EARLIER_FILE).read_bytes()
    except FileNotFoundError:
        return ()
    return tuple(found[at : at + KEY_BYTES] for at in range(0, len(found), KEY_BYTES))


def add_earlier(directory: Path, public: bytes) -> None:
    """Note one more, unless it is noted."""
    held = read_earlier(directory)
    if public not in held:
        replace_file(directory / "keys" / EARLIER_FILE, b"".join((public, *held)))


def read_oprf(directory: Path) -> dict[Name, OprfKey]:
    """Read the OPRF keys, and no other. Raises as `KeyRing.load`."""
    return _read_oprf(directory / "keys")


def oprf_at_hand(directory: Path) -> frozenset[Name]:
    """Say of which epochs there are keys, without reading them."""
    return frozenset(_oprf_files(directory / "keys"))


def add_sealing(directory: Path, random: RandomBytes) -> None:
    """Make the next sealing key, beside those that there are."""
    keys = directory / "keys"
    newest = max(_sealing_files(keys))
    write_secret(keys / f"sealing-{newest + 1}.key", SealingKey.generate(random).to_bytes())


def add_oprf(directory: Path, name: Name, random: RandomBytes) -> None:
    """Make the key of an epoch, unless it is there."""
    path = _oprf_path(directory / "keys", name)
    if not path.exists():
        write_secret(path, generate_key(random).scalar)


def destroy_sealing(directory: Path, kept: frozenset[str]) -> list[int]:
    """Destroy the sealing keys of other ids than these; gives their numbers."""
    files = _sealing_files(directory / "keys")
    gone = [n for n, path in files.items() if SealingKey.from_bytes(read_secret(path)).key_id not in kept]
    for number in gone:
        destroy_secret(files[number])
    return gone


def destroy_oprf(directory: Path, name: Name) -> None:
    """Destroy the key of an epoch. Who still holds its tags can never look anything up in them again."""
    destroy_secret(_oprf_path(directory / "keys", name))


def _oprf_path(keys: Path, name: Name) -> Path:
    return keys / f"oprf-{name[0]}-{name[1]}.key"


def _sealing_files(keys: Path) -> dict[int, Path]:
    """Sealing key files by their number."""
    found = ((_SEALING_FILE.fullmatch(path.name), path) for path in keys.glob("sealing-*.key"))
    files = {int(match[1]): path for match, path in found if match is not None}
    if not files:
        raise KeyFileMissing("expected a sealing key in keys/; there is none")
    return files


def _oprf_files(keys: Path) -> dict[Name, Path]:
    """OPRF key files by collection and epoch."""
    found = ((_OPRF_FILE.fullmatch(path.name), path) for path in sorted(keys.glob("oprf-*.key")))
    return {(match[1], int(match[2])): path for match, path in found if match is not None}


def _newest_first(keys: Path) -> list[Path]:
    """Sealing key files, newest first."""
    return [path for _, path in sorted(_sealing_files(keys).items(), reverse=True)]


def _read_oprf(keys: Path) -> dict[Name, OprfKey]:
    """All OPRF keys; one of each collection at least."""
    found = {name: OprfKey(read_secret(path)) for name, path in _oprf_files(keys).items()}
    for collection in COLLECTIONS:
        if not any(name == collection for name, _ in found):
            raise KeyFileMissing(f"expected an OPRF key of the collection {collection!r}; there is none")
    return found


def _read_32(path: Path) -> bytes:
    """A local symmetric key."""
    data = read_secret(path)
    if len(data) != 32:
        raise KeyFileMissing(f"expected 32 bytes in {path.name}, got {len(data)}")
    return data
