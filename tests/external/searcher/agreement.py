"""Which collection a question is put to: the one thing a searcher reads the agreement's rules for.

Source:   docs/protocol.md "Agreement", and "EvaluateRequest", `collection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from searcher import documents

PURPOSES = {"EMERGENCY_PROTECTION", "STRATEGY_DISCUSSION", "S47_ENQUIRY"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule looks at: two members of the roster, purpose and basis."""

    custodian: Mapping[str, Any]
    searcher: Mapping[str, Any]
    purpose: str
    basis: str


def collection(rules: list[dict[str, Any]], facts: Facts, now: datetime) -> str:
    """`protected` where it may be asked, else `involvement`."""
    covering = {rule["effect"] for rule in rules if _covers(rule, facts, now)}
    is_permitted = facts.purpose in PURPOSES and covering == {"PERMIT"}
    return "protected" if is_permitted else "involvement"


def _covers(rule: dict[str, Any], facts: Facts, now: datetime) -> bool:
    words = (("purposes", facts.purpose), ("bases", facts.basis), ("record_types", "INVOLVEMENT"))
    return (
        rule["collection"] == "shielded"
        and ("valid_from" not in rule or documents.time(rule["valid_from"]) <= now)
        and ("valid_until" not in rule or now < documents.time(rule["valid_until"]))
        and _is_side(rule, "source", facts.custodian)
        and _is_side(rule, "dest", facts.searcher)
        and all(rule[name] == ["*"] or word in rule[name] for name, word in words)
    )


def _is_side(rule: dict[str, Any], side: str, member: Mapping[str, Any]) -> bool:
    if f"{side}_sector" in rule:
        return bool(rule[f"{side}_sector"] == member["sector"])
    return rule[side] in ("*", member["agency_id"])
