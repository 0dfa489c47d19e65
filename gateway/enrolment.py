"""Founding a federation, and handing an agency that the stewards have let in what it needs to take part.

Holds:    the certificate authority's key while an act lasts. No act here changes who is a member: that takes
          the stewards, `gateway.proposing` and `gateway.enacting`.
Sees:     join requests, stewards' cards, the roster.
Refuses:  a certificate for anybody who is not in the roster with the very key that signed the request; an act
          that fails changes nothing, because everything is made before anything is written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import tomli_w

from elsewhere.enrolment import Admission, open_request
from elsewhere.errors import ConfigInvalid, EnrolmentRefused
from elsewhere.keyfiles import replace_file
from elsewhere.proposal import Proposal
from elsewhere.random import RandomBytes
from elsewhere.roster import Steward
from elsewhere.wire.tls import NODE_DAYS, sign_node
from gateway.agreed import found_text
from gateway.config import FILE_NAME, config_from, load_config
from gateway.folder import Keys, alone, certificate, read_anchor, write_anchor
from gateway.inforce import read_agreement, read_succession
from gateway.proposing import first_proposal


@dataclass(frozen=True, slots=True)
class Founding:
    """What a new federation is founded with."""

    federation: str  # its id
    listen: str  # host:port
    addresses: tuple[str, ...] = ()  # host:port that nodes dial, if it is not `listen`
    stewards: tuple[Steward, ...] = ()  # the first ones: at least two
    quorum: int | None = None  # how many of them must sign; None for a majority


def init(directory: Path, founding: Founding, *, now: datetime, random: RandomBytes) -> Proposal:
    """Found a federation: keys, CA, an agreement to be filled, and the first roster for the stewards to sign.

    Args:
        directory: made with mode 0700 if it is not there; must hold no gateway yet.
        founding: id, addresses and stewards.
        now: aware UTC time.
        random: returns n random bytes.

    Returns:
        The first proposal. Nothing is in force before a quorum of the stewards has signed it.

    Raises:
        ConfigInvalid: there is a gateway already, or the id or an address is impossible.
        DocumentInvalid: too few stewards, two of one agency or key, or a quorum that is no majority.
    """
    settings = {
        "federation": founding.federation,
        "listen": founding.listen,
        "addresses": list(founding.addresses),
    }
    config = config_from({**settings, "dir": directory.absolute()})
    stewards, quorum = founding.stewards, founding.quorum
    # Made once with what is thrown away, so that nothing is on disk if the stewards are impossible.
    stub = (founding.federation, b"-----BEGIN CERTIFICATE-----")
    first_proposal(stub, stewards, quorum, bytes(32), now)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(directory, 0o700)
    with alone(directory):
        if (directory / FILE_NAME).exists() or (directory / "keys").exists():
            raise ConfigInvalid(
                "expected a folder without a gateway; this one has keys already: name another"
            )
        keys = Keys.create(directory, founding.federation, now=now, random=random)
        anchor_of = (founding.federation, keys.authority.cert_pem)
        proposal = first_proposal(anchor_of, stewards, quorum, keys.gateway.public, now)
        write_anchor(directory, proposal.anchor)
        found_text(directory, founding.federation, now=now)
        certificate(config, proposal.anchor, keys.tls_key_pem, now=now)
        # Last: without it there is no gateway here.
        replace_file(directory / FILE_NAME, tomli_w.dumps(settings).encode())
    return proposal


def admit(directory: Path, request: bytes, *, now: datetime, days: int = NODE_DAYS) -> Admission:
    """Hand a member what it needs: a certificate, new each time, and what is in force.

    Args:
        directory: the gateway's folder.
        request: the file the agency made.
        now: aware UTC time.
        days: how long its certificate lasts.

    Returns:
        What the agency is to be handed.

    Raises:
        EnrolmentRefused: the proof fails, or the roster has no such member with this key, or it is out.
        CertificateInvalid: its certificate request is not for its own name.
    """
    wish = open_request(request)
    with alone(directory):
        config = load_config(directory)
        keys = Keys.load(directory)
        succession = read_succession(directory)
        member = succession.roster.member(wish.agency_id)
        if member is None:
            raise EnrolmentRefused(
                f"{wish.agency_id} is in no roster; first 'elsewhere gateway propose --admit' it"
            )
        if member.signing_key != wish.signing_key:
            is_earlier = wish.signing_key in member.earlier_keys
            why = "it was changed since, so invite it again" if is_earlier else "this is not that agency"
            raise EnrolmentRefused(f"{wish.agency_id} is a member with another key; {why}")
        if member.state in ("suspended", "revoked"):
            raise EnrolmentRefused(f"{wish.agency_id} is {member.state}; it takes no part")
        certificate = sign_node(keys.authority, wish.csr_pem, agency=wish.agency_id, now=now, days=days)
        held = read_agreement(directory, succession.roster)
        return Admission(
            anchor=read_anchor(directory),
            agency_id=wish.agency_id,
            gateways=config.dialled,
            certificate_pem=certificate,
            chain=succession.chain,
            roster=succession.envelope,
            agreement=held[0] if held is not None else None,
        )
