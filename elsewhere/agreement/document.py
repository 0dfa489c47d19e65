"""The agreement as a file: people write TOML, machines sign its canonical JSON, and both say the same.

Sees:     agreements; no record and no question.
Refuses:  unknown keys, ids and times, with the key and its line; payloads that say it in another way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from elsewhere.agreement.lines import line_of
from elsewhere.agreement.studies import HeldTable, Project, Research, Researcher
from elsewhere.agreement.terms import (
    ANY,
    RULE_ID,
    Agreement,
    CollectionTerms,
    Effect,
    Limits,
    Party,
    Rule,
    Scope,
    Validity,
)
from elsewhere.agreement.vocabulary import Tier, vocabulary
from elsewhere.canonical import Json, canonical_json
from elsewhere.errors import DocumentInvalid, ElsewhereError
from elsewhere.fields import Fields
from elsewhere.roster import AGENCY_ID, MAX_VERSION, Roster, Steward
from elsewhere.signing import (
    KEY_BYTES,
    SigningKey,
    enclose,
    open_document,
    sign_document,
    unverified_payload,
    verified_signatures,
)
from elsewhere.toml import TomlInvalid, parse_toml

AGREEMENT_TYPE: Final = "application/vnd.elsewhere.agreement.v1+json"
MAX_TOML_CHARACTERS: Final = 1_000_000


class AgreementRollback(ElsewhereError):
    """A signed agreement older than one already seen, or a second one of its version. Keep the one held."""

    code = "agreement.rollback"


_TIERS: Final = ("R0", "R1", "R2", "R3")
_Value = TypeVar("_Value")


def agreement_from_toml(text: str) -> Agreement:
    """Read the agreement that people wrote.

    Args:
        text: TOML of at most a million characters.

    Raises:
        DocumentInvalid: `.key` and, where it is known, `.line` say what to correct. Nothing was signed.
    """
    if len(text) > MAX_TOML_CHARACTERS:
        raise DocumentInvalid("document", f"expected at most {MAX_TOML_CHARACTERS} characters")
    try:
        table = parse_toml(text)
    except TomlInvalid as err:
        raise DocumentInvalid("document", "expected TOML; this line is not", line=err.line) from None
    try:
        return _agreement(Fields(table))
    except DocumentInvalid as err:
        raise DocumentInvalid(err.key, err.reason, line=line_of(text, err.key)) from None


def find_faults(text: str) -> tuple[DocumentInvalid, ...]:
    """Find what keeps a text from being read: the first fault of the whole, and of each of its entries.

    Returns:
        Empty if it reads. Each with `.key` and, where it is known, `.line`; in the order of the lines.
    """
    try:
        agreement_from_toml(text)
    except DocumentInvalid as err:
        found = {err.key: err}
    else:
        return ()
    try:
        table = parse_toml(text) if len(text) <= MAX_TOML_CHARACTERS else {}
    except TomlInvalid:
        return tuple(found.values())
    part = table.get("research")
    listed = [("parties", _party, table), ("collections", _collection, table), ("rules", _rule, table)]
    if isinstance(part, dict):
        listed += [
            ("research.tables", HeldTable.from_fields, part),
            ("research.researchers", Researcher.from_fields, part),
            ("research.projects", Project.from_fields, part),
        ]
    for name, reader, within in listed:
        entries = within.get(name.rpartition(".")[2])
        for index, entry in enumerate(entries if isinstance(entries, list) else (), 1):
            try:
                reader(Fields(entry, f"{name}[{index}]"))
            except DocumentInvalid as err:
                found[err.key] = DocumentInvalid(err.key, err.reason, line=line_of(text, err.key))
    return tuple(sorted(found.values(), key=lambda err: err.line or 0))


def agreement_from_json(value: Json) -> Agreement:
    """Read a payload whose signatures have been checked.

    Raises:
        DocumentInvalid: an unknown key, id or time, or the same said in another way than we sign it.
    """
    found = _agreement(Fields(value))
    # The digest is taken from our own writing, so a payload that leaves out a default must not pass for it.
    if canonical_json(found.to_json()) != canonical_json(value):
        raise DocumentInvalid("document", "expected every key written out, as signing writes them")
    return found


def sign_agreement(keys: Sequence[SigningKey], agreement: Agreement) -> bytes:
    """Wrap an agreement in an envelope signed with every key given."""
    return sign_document(keys, AGREEMENT_TYPE, agreement.to_json())


def open_agreement(envelope: bytes, roster: Roster) -> Agreement:
    """Read an agreement that a quorum of the stewards has signed, and see which agencies it binds.

    Args:
        envelope: as received, from anyone.
        roster: in force; it lists the stewards.

    Raises:
        SignatureInvalid: too few valid signatures. Treat the agreement as missing: nothing is answered.
        NotCanonical, DocumentInvalid: signed, but not an agreement this version can read.
    """
    value = open_document(envelope, AGREEMENT_TYPE, roster.steward_keys, roster.quorum)
    return bound(agreement_from_json(value), envelope, roster)


def check_newer_agreement(held: Agreement, new: Agreement) -> None:
    """Return only for a later agreement than the one held, or the same; raises AgreementRollback."""
    if new.version < held.version or (new.version == held.version and new.digest != held.digest):
        raise AgreementRollback(f"expected an agreement above version {held.version}, got {new.version}")


def bound(agreement: Agreement, envelope: bytes, roster: Roster) -> Agreement:
    """Say whom an agreement binds under a roster: agencies whose steward, listed there, has signed it.

    Raises:
        SignatureInvalid: not an agreement's envelope.
    """
    signed = verified_signatures(envelope, AGREEMENT_TYPE, roster.steward_keys)
    return replace(
        agreement,
        signed_by=frozenset(s.agency_id for s in roster.stewards if _has_signed(agreement, s, signed)),
    )


def join_signatures(agreement: Agreement, envelopes: Sequence[bytes], roster: Roster) -> bytes:
    """Bring the signatures that stewards made of one agreement together, in the order of the roster.

    Raises:
        SignatureInvalid: not an agreement's envelope.
    """
    payload, found = canonical_json(agreement.to_json()), dict[bytes, bytes]()
    for envelope in envelopes:
        # Of another agreement they would not verify here; so what they are made of is looked at first.
        if unverified_payload(envelope, AGREEMENT_TYPE) == payload:
            found |= verified_signatures(envelope, AGREEMENT_TYPE, roster.steward_keys)
    return enclose(AGREEMENT_TYPE, payload, {key: found[key] for key in roster.steward_keys if key in found})


def _has_signed(agreement: Agreement, steward: Steward, signed: Collection[bytes]) -> bool:
    """Whether a steward has signed, with the key that the agreement names too if it names one."""
    party = agreement.party(steward.agency_id)
    named = party.steward_key if party is not None else None
    return steward.key in signed and named in (None, steward.key)


def _agreement(fields: Fields) -> Agreement:
    """Read the whole document."""
    stated = fields.text("vocabulary")
    if stated != vocabulary().version:
        raise DocumentInvalid(
            "vocabulary", f"expected {vocabulary().version}, the version this release holds"
        )
    validity = _build(
        fields,
        lambda: Validity(
            valid_from=fields.instant("valid_from"),
            valid_until=fields.instant("valid_until"),
            review_by=fields.instant("review_by"),
        ),
    )
    found = Agreement(
        id=fields.text("id", AGENCY_ID),
        version=fields.integer("version", 1, MAX_VERSION),
        title=fields.text("title"),
        validity=validity,
        parties=tuple(_party(entry) for entry in fields.tables("parties")),
        collections=tuple(_collection(entry) for entry in fields.tables("collections")),
        rules=tuple(_rule(entry) for entry in fields.tables("rules")),
        limits=_limits(fields.table("limits")) if fields.has("limits") else Limits(),
        duty_from=fields.instant("duty_from") if fields.has("duty_from") else None,
        duty_sets_confidence_aside=fields.flag("duty_sets_confidence_aside")
        if fields.has("duty_sets_confidence_aside")
        else False,
        research=Research.from_fields(fields.table("research")) if fields.has("research") else None,
    )
    fields.done()
    return found


def _party(fields: Fields) -> Party:
    """Read one party."""
    return _build(
        fields,
        lambda: Party(
            agency_id=fields.text("agency_id", AGENCY_ID),
            name=fields.text("name"),
            sector=fields.choice("sector", vocabulary().sectors),
            duty_contact_in_hours=fields.text("duty_contact_in_hours"),
            duty_contact_out_of_hours=fields.text("duty_contact_out_of_hours"),
            public_authority=fields.flag("public_authority") if fields.has("public_authority") else None,
            steward_key=fields.octets("steward_key", KEY_BYTES) if fields.has("steward_key") else None,
        ),
    )


def _collection(fields: Fields) -> CollectionTerms:
    """Read one opened collection."""
    return _build(
        fields,
        lambda: CollectionTerms(
            id=fields.choice("id", vocabulary().collections),
            max_age_days=fields.integer("max_age_days", 1, 366),
        ),
    )


def _limits(fields: Fields) -> Limits:
    """Read the limits; all four or none, so that a misread default cannot widen one."""
    return _build(
        fields,
        lambda: Limits(
            per_agency_per_day=fields.integer("per_agency_per_day", 1, 1_000_000),
            per_person_per_day=fields.integer("per_person_per_day", 1, 1_000_000),
            burst=fields.integer("burst", 1, 1_000_000),
            red_reserve=fields.integer("red_reserve", 0, 1_000),
        ),
    )


def _rule(fields: Fields) -> Rule:
    """Read one rule."""
    words = vocabulary()
    effect = Effect[fields.choice("effect", Effect.__members__)]
    gives = effect is not Effect.DENY
    return _build(
        fields,
        lambda: Rule(
            id=fields.text("id", RULE_ID),
            words=fields.text("words"),
            source=_scope(fields, "source"),
            dest=_scope(fields, "dest"),
            collection=fields.choice("collection", words.collections),
            effect=effect,
            tier=Tier[fields.choice("tier", _TIERS)] if gives else Tier.R0,
            purposes=_words(fields, "purposes", words.purposes),
            bases=_words(fields, "bases", words.bases),
            record_types=_words(fields, "record_types", words.record_types)
            if fields.has("record_types")
            else ("INVOLVEMENT",),
            obligations=fields.texts("obligations") if fields.has("obligations") else (),
            valid_from=fields.instant("valid_from") if fields.has("valid_from") else None,
            valid_until=fields.instant("valid_until") if fields.has("valid_until") else None,
        ),
    )


def _scope(fields: Fields, side: str) -> Scope:
    """Read one side of a rule: an agency, "*" for any, or a sector under its own key."""
    if fields.has(f"{side}_sector"):
        if fields.has(side):
            raise DocumentInvalid(fields.path(side), f"expected {side} or {side}_sector; both are stated")
        return Scope(sector=fields.choice(f"{side}_sector", vocabulary().sectors))
    agency = fields.text(side)
    if agency == ANY:
        return Scope()
    if not re.fullmatch(AGENCY_ID, agency):
        raise DocumentInvalid(fields.path(side), f'expected an agency id or "{ANY}"')
    return Scope(agency=agency)


def _words(fields: Fields, name: str, allowed: Collection[str]) -> tuple[str, ...]:
    """Read a list of words, of which `["*"]` alone means all."""
    found = fields.choices(name, (*allowed, ANY))
    if ANY in found and len(found) > 1:
        raise DocumentInvalid(fields.path(name), f'expected words, or "{ANY}" alone')
    if not found:
        raise DocumentInvalid(fields.path(name), f'expected at least one word, or "{ANY}"')
    return () if found == (ANY,) else found


def _build(fields: Fields, make: Callable[[], _Value]) -> _Value:
    """Make a value from a table, refuse keys left over, and name a refusal by its place in the document."""
    try:
        found = make()
    except DocumentInvalid as err:
        at = fields.path("")
        if err.key.startswith(at):
            raise
        raise DocumentInvalid(fields.path(err.key), err.reason) from None
    if not isinstance(found, Validity):  # its keys stand beside others of the same table
        fields.done()
    return found
