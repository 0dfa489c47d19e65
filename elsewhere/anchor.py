"""The anchor: what a member is handed in person and trusts from then on; all else is verified under it.

Sees:     the digest of the first roster, which names the first stewards; a certificate for the hop.
Refuses:  anything but exactly these three.
"""

from __future__ import annotations

from dataclasses import dataclass

from elsewhere.canonical import Json
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_text
from elsewhere.roster import AGENCY_ID, DIGEST_BYTES
from elsewhere.spoken import spoken


@dataclass(frozen=True, slots=True)
class Federation:
    """One partnership, known by its first roster."""

    federation_id: str
    genesis: bytes  # SHA-256 of roster 1, 32 bytes
    tls_ca_pem: bytes  # protects the hop to the gateway only

    def __post_init__(self) -> None:
        as_text(self.federation_id, "federation_id", AGENCY_ID)
        if len(self.genesis) != DIGEST_BYTES:
            raise DocumentInvalid("genesis", f"expected {DIGEST_BYTES} bytes, got {len(self.genesis)}")
        if not self.tls_ca_pem.startswith(b"-----BEGIN CERTIFICATE-----"):
            raise DocumentInvalid("tls_ca_pem", "expected a certificate in PEM form")

    @property
    def fingerprint(self) -> str:
        """The federation's fingerprint, to be compared by voice."""
        return spoken("federation", self.genesis)

    def to_json(self) -> dict[str, Json]:
        """Write the anchor for a file or a token."""
        return {
            "federation_id": self.federation_id,
            "genesis": self.genesis.hex(),
            "tls_ca_pem": self.tls_ca_pem.decode("ascii"),
        }

    @classmethod
    def from_json(cls, value: Json) -> Federation:
        """Read the anchor; raises DocumentInvalid for anything else."""
        fields = Fields(value)
        pem = fields.take("tls_ca_pem")
        if not isinstance(pem, str) or not pem.isascii():
            raise DocumentInvalid("tls_ca_pem", "expected a certificate in PEM form")
        found = cls(
            federation_id=fields.text("federation_id"),
            genesis=fields.octets("genesis", DIGEST_BYTES),
            tls_ca_pem=pem.encode("ascii"),
        )
        fields.done()
        return found
