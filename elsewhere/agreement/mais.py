"""An agreement as a MAIS SharingPolicy (Multi-Agency Information Sharing), as JSON values.

Promises: a SharingPolicy written here reads back as the same value. An agreement cannot be read back:
          the standard has no place for rules one by one, so the text at `uri` stays what counts.
Refuses:  an object that lacks a field the standard wants, or has one of another type.
Source:   MAIS Information Governance, Sharing Policy, draft 0.1 of 2025-10-01; ODRL 2.2 actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from elsewhere.agreement.terms import Agreement, Effect
from elsewhere.agreement.vocabulary import delete_after_days, vocabulary
from elsewhere.canonical import Json
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_text, format_instant

AGREEMENT_SYSTEM: Final = "urn:elsewhere:agreement"
# What an obligation asks of whoever gets the answer, as an ODRL duty; those of the answering side are none.
DUTIES: Final = MappingProxyType(
    {
        "LOG": "elsewhere:log",
        "NOTIFY_DESK": "odrl:inform",
        "SILENT": None,
        "NO_ONWARD": None,  # an ODRL prohibition, below
        "HUMAN_REVIEW": None,
        "RECORD_DETRIMENT": None,
        "SECOND_PERSON": "odrl:reviewPolicy",
    }
)
_LISTS: Final = (
    "Data",
    "Purpose",
    "PermittedUse",
    "Restrictions",
    "DataRecipientResponsibilities",
    "SecurityMeasure",
    "LegalCompliance",
)
_MAY_BE_EMPTY: Final = _LISTS[3:]
_SECURITY: Final = ("end-to-end-encryption", "mutual-tls", "blinded-identifiers", "tamper-evident-log")


@dataclass(frozen=True, slots=True)
class SharingPolicy:
    """The fields of the standard's object; lists keep their order."""

    uri: str
    identifier: str
    system: str
    name: str
    contact: str
    parties: tuple[tuple[str, tuple[str, ...]], ...]  # names, with their ids in the catalogue
    start: str
    end: str
    lists: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Json]:
        """Write the object; a list that may be empty and is, is left out."""
        entry: dict[str, Json] = {
            "URI": self.uri,
            "Identifier": {"value": self.identifier, "System": self.system},
            "Name": self.name,
            "Contact": self.contact,
            "Party": [{"Name": name, "CatalogueID": [*ids]} for name, ids in self.parties],
            "StartDate": self.start,
            "EndDate": self.end,
        }
        return entry | {name: [*words] for name, words in self.lists.items() if words}

    @classmethod
    def from_json(cls, value: Json) -> SharingPolicy:
        """Read an object that somebody else wrote.

        Raises:
            DocumentInvalid: `.key` says which field is missing, unknown or of another type.
        """
        fields = Fields(value)
        identifier = fields.table("Identifier")
        found = cls(
            uri=fields.text("URI"),
            identifier=identifier.text("value"),
            system=identifier.text("System"),
            name=fields.text("Name"),
            contact=fields.text("Contact"),
            parties=tuple(_party(entry) for entry in fields.tables("Party")),
            start=fields.text("StartDate"),
            end=fields.text("EndDate"),
            lists={name: fields.texts(name) if fields.has(name) else () for name in _LISTS},
        )
        identifier.done()
        fields.done()
        for name in (*_LISTS, "Party"):
            if name not in _MAY_BE_EMPTY and not (found.parties if name == "Party" else found.lists[name]):
                raise DocumentInvalid(name, "expected at least one")
        return found


def sharing_policy(agreement: Agreement, *, uri: str, contact: str) -> SharingPolicy:
    """Write an agreement as a SharingPolicy.

    Args:
        agreement: to export.
        uri: where its machine-readable text is published.
        contact: of whoever keeps the document.

    Raises:
        DocumentInvalid: uri or contact is not one line of text; or nothing is permitted, which the standard
            cannot say.
    """
    words = vocabulary()
    rules = [rule for rule in agreement.rules if rule.effect is not Effect.DENY]
    if not rules:
        raise DocumentInvalid(
            "rules", "expected a rule that permits; a SharingPolicy cannot say that none does"
        )
    purposes = dict.fromkeys(p for rule in rules for p in rule.purposes or words.purposes)
    obligations = dict.fromkeys(("LOG", *(word for rule in rules for word in rule.obligations)))
    bases = dict.fromkeys(basis for rule in rules for basis in rule.bases or words.bases)
    onward_by_all = all("NO_ONWARD" in rule.obligations for rule in rules)
    duties = [duty for word in obligations if (duty := _duty(word)) is not None]
    return SharingPolicy(
        uri=as_text(uri, "uri"),
        identifier=f"{agreement.id}/{agreement.version}",
        system=AGREEMENT_SYSTEM,
        name=agreement.title,
        contact=as_text(contact, "contact"),
        parties=tuple((party.name, (party.agency_id,)) for party in agreement.parties),
        start=format_instant(agreement.validity.valid_from),
        end=format_instant(agreement.validity.valid_until),
        lists={
            "Data": tuple(words.collections[entry.id].name for entry in agreement.collections),
            "Purpose": tuple(purposes),
            "PermittedUse": ("odrl:read",),
            "Restrictions": ("odrl:transfer", "odrl:distribute") if onward_by_all else (),
            "DataRecipientResponsibilities": tuple(dict.fromkeys(duties)),
            "SecurityMeasure": _SECURITY,
            "LegalCompliance": tuple(f"{basis} {words.bases[basis].statute}" for basis in bases),
        },
    )


def _duty(obligation: str) -> str | None:
    """The ODRL duty of whoever gets the answer; a deletion says after how many days."""
    days = delete_after_days(obligation)
    return f"odrl:delete P{days}D" if days is not None else DUTIES[obligation]


def _party(fields: Fields) -> tuple[str, tuple[str, ...]]:
    """Read one party of a policy."""
    found = fields.text("Name"), fields.texts("CatalogueID")
    fields.done()
    if not found[1]:
        raise DocumentInvalid(fields.path("CatalogueID"), "expected at least one")
    return found
