"""A node's way in: it makes its own keys, asks to join, and checks what it is handed before believing it.

Holds:    all keys of the node while they are made; they never leave its folder.
Sees:     the join request it writes, the admission it is handed.
Refuses:  an admission for other keys or another agency, of another federation than the one joined, or with a
          roster or agreement that the stewards did not sign. A refused admission changes nothing.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from elsewhere.agreement.document import open_agreement
from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.enrolment import Admission, JoinRequest, sign_request
from elsewhere.errors import ConfigInvalid, DocumentInvalid, ElsewhereError, EnrolmentRefused
from elsewhere.keyfiles import replace_file
from elsewhere.random import RandomBytes
from elsewhere.succession import Succession, chain_from_bytes, chain_to_bytes, open_succession
from elsewhere.wire.tls import check_issued, make_key, make_request
from node.config import FILE_NAME, load_config
from node.keys.ring import KeyRing, read_coming
from node.membership.hop import hop_with

_SETTINGS: Final = """\
# Settings of this agency's node. Secrets are in keys/, never here.
agency = {agency}
name = {name}
# host:port of each gateway; filled in by `elsewhere node accept`.
gateways = []
"""
_GATEWAYS: Final = re.compile(r"^gateways[ \t]*=[ \t]*\[[^\]]*\]", re.MULTILINE)  # on one line or on several


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks to join, and whom others may call there."""

    agency_id: str
    name: str
    sector: str
    contact_in_hours: str
    contact_out_of_hours: str


def init(directory: Path, applicant: Applicant, *, random: RandomBytes) -> tuple[bytes, str]:
    """Make a new node: its folder, all its keys, its settings.

    Args:
        directory: made with mode 0700 if it is not there; must hold no node yet.
        applicant: who asks.
        random: returns n random bytes.

    Returns:
        The join request, to be handed to the gateway's operator, and the fingerprint to compare by voice.

    Raises:
        ConfigInvalid: there is a node already. Nothing was changed.
        DocumentInvalid: the id, name, sector or a contact is impossible. Nothing was made.
    """
    tls_pem = make_key()
    csr_pem = make_request(tls_pem, applicant.agency_id)
    if applicant.sector not in vocabulary().sectors:
        raise DocumentInvalid("sector", f"expected one of {', '.join(vocabulary().sectors)}")
    # Made once with a key that is thrown away, so that nothing is on disk if a field is impossible.
    _request(applicant, bytes(32), csr_pem)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(directory, 0o700)
    if (directory / FILE_NAME).exists() or (directory / "keys").exists():
        raise ConfigInvalid("expected a folder without a node; this one has keys already: name another")
    keys = KeyRing.create(directory, tls_pem=tls_pem, random=random)
    text = _SETTINGS.format(agency=json.dumps(applicant.agency_id), name=_quoted(applicant.name))
    replace_file(directory / FILE_NAME, text.encode("utf-8"))
    load_config(directory)
    request = _request(applicant, keys.signing.public, csr_pem)
    return sign_request(keys.signing, request), request.fingerprint


def accept(directory: Path, file: bytes, *, now: datetime) -> Admission:
    """Check an admission against this node's own keys, then believe it.

    A second admission of the same federation brings a new certificate or new gateways.

    Args:
        directory: the node's folder.
        file: what the gateway's operator handed over.
        now: aware UTC time.

    Returns:
        What was accepted; its anchor's fingerprint is to be compared by voice.

    Raises:
        EnrolmentRefused: it is not for this node, or does not hold. Nothing was changed.
        ConfigInvalid: the gateways in the settings cannot be replaced by a program. Nothing was changed.
        CertificateInvalid: its certificate is for another key or agency, or not valid now.
    """
    config, keys = load_config(directory), KeyRing.load(directory)
    admission = Admission.from_bytes(file)
    if admission.agency_id != config.agency:
        raise EnrolmentRefused(f"expected an admission of {config.agency}; it is of {admission.agency_id}")
    hop_with(directory, admission.certificate_pem)
    check_issued(admission.certificate_pem, admission.anchor.tls_ca_pem, agency=config.agency, now=now)
    try:
        coming = read_coming(directory)
        known = {keys.signing.public, *([coming.public] if coming is not None else [])}
        succession = _read_documents(admission, known, now)
    except EnrolmentRefused:
        raise
    except ElsewhereError as err:
        raise EnrolmentRefused(f"the admission's documents do not hold: {err}") from None
    settings = _with_gateways((directory / FILE_NAME).read_text("utf-8"), admission.gateways)
    trust = directory / "trust"
    following = _following(trust, admission, succession)
    trust.mkdir(mode=0o700, exist_ok=True)
    replace_file(trust / "ca.pem", admission.anchor.tls_ca_pem)
    replace_file(trust / "tls.pem", admission.certificate_pem)
    replace_file(trust / "chain.json", chain_to_bytes(following.chain))
    replace_file(trust / "roster.json", following.envelope)
    if admission.agreement is not None and not (trust / "agreement.json").exists():
        replace_file(trust / "agreement.json", admission.agreement)
    replace_file(directory / FILE_NAME, settings.encode("utf-8"))
    # Last: without the anchor the node is not admitted, so a break before this line leaves it so.
    replace_file(trust / "federation.json", canonical_json(admission.anchor.to_json()))
    return admission


def _request(applicant: Applicant, signing_key: bytes, csr_pem: bytes) -> JoinRequest:
    """The request of an applicant under a key."""
    return JoinRequest(
        agency_id=applicant.agency_id,
        name=applicant.name,
        sector=applicant.sector,
        contact_in_hours=applicant.contact_in_hours,
        contact_out_of_hours=applicant.contact_out_of_hours,
        signing_key=signing_key,
        csr_pem=csr_pem,
    )


def _read_documents(admission: Admission, known: Collection[bytes], now: datetime) -> Succession:
    """Verify roster and agreement from the anchor on, and find this node's own key in the roster."""
    found = open_succession(admission.anchor, admission.chain, admission.roster)
    roster = found.roster
    roster.check_current(now)
    if roster.active(admission.agency_id).signing_key not in known:
        # Somebody else's key under our name would let them speak for this agency.
        raise EnrolmentRefused("expected this node's own signing key in the roster; it has another")
    if admission.agreement is not None:
        open_agreement(admission.agreement, roster)
    return found


def _following(trust: Path, admission: Admission, brought: Succession) -> Succession:
    """What is held then, after an earlier admission too: one federation, and never an older roster."""
    try:
        anchor = Federation.from_json(parse_canonical((trust / "federation.json").read_bytes()))
    except FileNotFoundError:
        return brought
    if anchor != admission.anchor:
        raise EnrolmentRefused("this node has joined another federation; a node belongs to one")
    chain = chain_from_bytes((trust / "chain.json").read_bytes())
    held = open_succession(anchor, chain, (trust / "roster.json").read_bytes())
    if held.roster.version > brought.roster.version:
        return held
    return held.follow(brought.envelope, brought.chain)


def _with_gateways(text: str, gateways: tuple[str, ...]) -> str:
    """Put the addresses into the settings and leave everything else as people wrote it.

    Raises:
        ConfigInvalid: they stand there in a way that only people can replace.
    """
    line = f"gateways = {json.dumps(list(gateways))}"
    made, found = _GATEWAYS.subn(lambda _: line, text, count=1)
    if not found:
        made = f"{line}\n{text}"  # ahead of any table, where it belongs
    try:
        before, after = tomllib.loads(text), tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        before, after = {}, {}
    if after != {**before, "gateways": list(gateways)}:
        raise ConfigInvalid(f"expected to replace the gateways in {FILE_NAME}; write there yourself: {line}")
    return made


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False)
