"""A node's own policy reads strictly, so that no node starts with one it misreads."""

from __future__ import annotations

import pytest

from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.vocabulary import Tier
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields


def test_local_policy_reads_from_settings_and_refuses_what_it_does_not_know() -> None:
    table = {"denied_purposes": ["EARLY_HELP"], "tier_cap": "R2", "review_everything": True}
    policy = LocalPolicy.from_fields(Fields(table))

    assert policy == LocalPolicy(
        denied_purposes=frozenset({"EARLY_HELP"}), tier_cap=Tier.R2, review_everything=True
    )
    assert policy.digest != LocalPolicy().digest
    assert LocalPolicy.from_fields(Fields({})) == LocalPolicy()
    for wrong in (
        {"denied_purposes": ["CURIOSITY"]},
        {"tier_cap": "R4"},
        {"deny": True},
        {"denied_agencies": ["?"]},
    ):
        with pytest.raises(DocumentInvalid):
            LocalPolicy.from_fields(Fields(wrong))
    with pytest.raises(DocumentInvalid):
        LocalPolicy(tier_cap=Tier.R4)
