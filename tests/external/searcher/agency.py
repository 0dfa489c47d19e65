"""The keys of an agency, its request to join, its admission, and the directory it has verified.

Source:   docs/protocol.md "Trust anchor and admission", "Roster", "Agreement", "Key statement".
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from searcher import documents, rosters
from searcher.documents import Document, document_type, open_envelope
from searcher.refusal import Refusal, require
from searcher.rosters import Roster
from searcher.seal import SealingKey

KEPT_FOR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Agency:
    """Who this is, and its secrets."""

    id: str
    signing: Ed25519PrivateKey = field(repr=False)
    sealing: SealingKey = field(repr=False)
    pseudonym_key: bytes = field(repr=False)
    tls_key_pem: bytes = field(repr=False)

    def statement(self, now: datetime) -> bytes:
        """Our own key statement: one sealing key, nothing that we answer."""
        public = self.sealing.public()
        sealing = {
            "key_id": documents.key_id(public),
            "public": public.hex(),
            "not_after_utc": documents.time_text(now + KEPT_FOR),
        }
        content = {
            "agency": self.id,
            "version": int(now.timestamp()),
            "issued_utc": documents.time_text(now),
            "sealing_keys": [sealing],
            "oprf_keys": [],
            "protocol_versions": [1],
            "match_key_versions": ["2"],
        }
        return documents.envelope(self.signing, document_type("key-statement"), content)


def found(folder: Path, agency: str, about: dict[str, str]) -> bytes:
    """Make all keys, keep them in `folder`, and return the request to join."""
    folder.mkdir(mode=0o700)
    signing = Ed25519PrivateKey.generate()
    tls = ec.generate_private_key(ec.SECP256R1())
    tls_pem = tls.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kept = {
        "agency": agency,
        "signing": signing.private_bytes_raw().hex(),
        "sealing": secrets.token_bytes(96).hex(),
        "pseudonym": secrets.token_bytes(32).hex(),
        "tls": tls_pem.decode(),
    }
    with open(os.open(folder / "keys.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(kept, file)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, agency)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(tls, hashes.SHA256())
    public = signing.public_key().public_bytes_raw().hex()
    content = {"agency_id": agency, "signing_key": public, **about}
    content["csr_pem"] = csr.public_bytes(serialization.Encoding.PEM).decode()
    envelope = documents.envelope(signing, document_type("join-request"), content)
    return documents.canonical({"signing_key": public, "envelope": envelope.decode()}) + b"\n"


def load(folder: Path) -> Agency:
    """Read the keys again."""
    kept = json.loads((folder / "keys.json").read_text("utf-8"))
    return Agency(
        id=kept["agency"],
        signing=Ed25519PrivateKey.from_private_bytes(bytes.fromhex(kept["signing"])),
        sealing=SealingKey(bytes.fromhex(kept["sealing"])),
        pseudonym_key=bytes.fromhex(kept["pseudonym"]),
        tls_key_pem=kept["tls"].encode(),
    )


@dataclass(frozen=True, slots=True)
class Admission:
    """What the gateway's operator returned."""

    federation: str
    genesis: bytes
    tls_ca_pem: bytes
    certificate_pem: bytes
    gateways: tuple[str, ...]
    chain: tuple[bytes, ...]
    roster: bytes
    agreement: bytes

    @classmethod
    def read(cls, data: bytes, agency: str) -> Admission:
        content = documents.parse(data.removesuffix(b"\n"))
        wanted = {
            "federation",
            "agency_id",
            "gateways",
            "certificate_pem",
            "chain",
            "roster",
            "agreement",
        }
        require(set(content) == wanted, "enrolment.refused", "the keys of an admission")
        anchor = content["federation"]
        require(set(anchor) == {"federation_id", "genesis", "tls_ca_pem"}, "enrolment.refused", "an anchor")
        require(content["agency_id"] == agency, "enrolment.refused", "an admission of ours")
        return cls(
            federation=anchor["federation_id"],
            genesis=bytes.fromhex(anchor["genesis"]),
            tls_ca_pem=anchor["tls_ca_pem"].encode(),
            certificate_pem=content["certificate_pem"].encode(),
            gateways=tuple(content["gateways"]),
            chain=tuple(link.encode() for link in content["chain"]),
            roster=content["roster"].encode(),
            agreement=(content["agreement"] or "").encode(),
        )


@dataclass(frozen=True, slots=True)
class Custodian:
    """A member whose statement holds."""

    id: str
    signing_public: bytes
    statement: Document

    def sealing_public(self, now: datetime) -> bytes:
        """The key that lasts longest and has not run out."""
        keys = [k for k in self.statement.content["sealing_keys"] if now < documents.time(k["not_after_utc"])]
        require(bool(keys), "document.invalid", "a sealing key in force")
        last = max(keys, key=lambda k: documents.time(k["not_after_utc"]))
        public = bytes.fromhex(last["public"])
        require(documents.key_id(public) == last["key_id"], "document.invalid", "the key's own id")
        return public

    def oprf_key(self, collection: str, now: datetime) -> tuple[int, bytes]:
        """Highest epoch in force, and its public key."""
        keys = [
            k
            for k in self.statement.content["oprf_keys"]
            if k["collection"] == collection
            and documents.time(k["valid_from_utc"]) <= now < documents.time(k["valid_until_utc"])
        ]
        require(bool(keys), "statement.missing", f"a key of {collection} in force")
        newest = max(keys, key=lambda k: k["epoch"])
        return newest["epoch"], bytes.fromhex(newest["public"])


@dataclass(slots=True)
class Directory:
    """Roster, agreement and statements, each verified; never older than what was seen."""

    admission: Admission
    roster: Roster | None = None
    agreement: Document | None = None
    statements: dict[str, Document] = field(default_factory=dict)

    def take(self, sent: Any, now: datetime) -> None:
        """Take a Directory frame; what does not hold is refused and changes nothing of its kind."""
        self.take_roster(sent.roster, now, [bytes(link) for link in sent.stewards_rosters])
        if sent.agreement:
            self.take_agreement(sent.agreement)
        for envelope in sent.statements:
            self._take_statement(bytes(envelope))

    def take_roster(self, envelope: bytes, now: datetime, chain: Sequence[bytes] = ()) -> None:
        held = self.roster
        if held is None:
            chain = self.admission.chain
            held = rosters.first(chain[0], self.admission.genesis, self.admission.federation)
        new = held.next(envelope, chain)
        is_in_force = new.document.is_in_force(now, "issued_utc", "valid_until_utc")
        require(is_in_force, "roster.expired", "a roster in force")
        self.roster = new

    def take_agreement(self, envelope: bytes) -> None:
        assert self.roster is not None
        new = self.roster.signed(envelope, document_type("agreement"))
        if self.agreement is not None:
            _check_succeeds(self.agreement, new, "agreement")
        self.agreement = new

    def _take_statement(self, envelope: bytes) -> None:
        """The signer is named inside: try the key that the roster gives for it."""
        named = open_unverified(envelope)["agency"]
        member = self.member(named)
        if member is None:
            return
        public = bytes.fromhex(member["signing_key"])
        new = open_envelope(envelope, document_type("key-statement"), public, documents.STATEMENT_KEYS)
        if named in self.statements:
            _check_succeeds(self.statements[named], new, "statement")
        self.statements[named] = new

    def member(self, agency: str) -> dict[str, Any] | None:
        """A member that takes part."""
        assert self.roster is not None
        members = self.roster.content["members"]
        return next((m for m in members if m["agency_id"] == agency and m["state"] == "active"), None)

    def custodian(self, agency: str) -> Custodian:
        member = self.member(agency)
        if member is None:
            raise Refusal("roster.not_active", f"{agency} to be active")
        require(agency in self.statements, "statement.missing", f"a statement of {agency}")
        return Custodian(agency, bytes.fromhex(member["signing_key"]), self.statements[agency])


def open_unverified(envelope: bytes) -> dict[str, Any]:
    """What an envelope claims: only to learn whose key to try."""

    return documents.parse(base64.b64decode(documents.parse(envelope)["payload"], validate=True))


def _check_succeeds(held: Document, new: Document, what: str) -> None:
    before, after = held.content["version"], new.content["version"]
    require(after >= before, f"{what}.rollback", "no lower version")
    is_same = after > before or new.digest == held.digest
    require(is_same, "roster.forked" if what == "roster" else f"{what}.rollback", "one document of a version")


def now_utc() -> datetime:
    return datetime.now(UTC)
