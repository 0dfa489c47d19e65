"""An agency whose steward has not signed the agreement in force: it answers nobody, and nobody answers it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from elsewhere.agreement.document import AGREEMENT_TYPE
from elsewhere.asking import State
from elsewhere.proposal import sign_proposal
from elsewhere.roster import Roster
from elsewhere.signing import verified_signatures
from elsewhere.succession import read_roster
from gateway.agreed import TEXT_FILE
from gateway.enacting import enact
from gateway.proposing import Change, propose
from tests import partnership
from tests.fault.rig import check_healed, kept, somebody, until
from tests.federation import Federation

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _roster(made: Federation) -> Roster:
    return read_roster((made.folder / "gw" / "roster.json").read_bytes())


async def _shown(made: Federation, bound: set[str]) -> None:
    """Wait until every node holds the agreement with these signatures."""
    trusts = [node.trust for node in made.nodes.values()]
    await until(lambda: all(t.agreement is not None and t.agreement.signed_by == bound for t in trusts))


@pytest.mark.parametrize("missing", ["police", "social"])
async def test_an_agreement_without_a_stewards_signature_does_not_bind_that_agency(
    made: Federation, missing: str
) -> None:
    gw, police = made.folder / "gw", made.nodes["police"]
    text = (gw / TEXT_FILE).read_text("utf-8")
    (gw / TEXT_FILE).write_text(text.replace("Sharing agreement", "Sharing agreement, anew,"), "utf-8")
    proposal = propose(gw, Change(), now=datetime.now(UTC))
    others = [agency for agency in partnership.AGENCIES if agency != missing]
    signatures = {
        agency: sign_proposal(partnership.steward_key(agency), proposal) for agency in [*others, missing]
    }
    enact(gw, proposal, [signatures[agency] for agency in others], without=[missing])
    await _shown(made, set(others))
    before = kept(police)

    found = await made.ask("social", somebody())

    unbound = {"police"} if missing == "police" else {"police", "hospital"}
    denied = {name for name, answer in found.answers.items() if answer.state is State.DENIED}
    assert denied == unbound
    assert {found.answers[name].code for name in denied} == {"agreement.unsigned"}
    assert all(f"Agency {missing}" in found.answers[name].remedy for name in denied)
    assert kept(police)[1] == before[1] + 1, "what was denied stands in the log too"

    enact(gw, proposal, [signatures[missing]])
    await _shown(made, {*others, missing})
    await check_healed(made)


async def test_a_gateway_that_leaves_signatures_out_only_keeps_agencies_from_sharing(
    made: Federation,
) -> None:
    gw = made.folder / "gw"
    whole = (gw / "agreement.json").read_bytes()
    envelope = json.loads(whole)
    envelope["signatures"] = [
        one for one in envelope["signatures"] if one["keyid"] != partnership.steward_key("police").key_id
    ]
    (gw / "agreement.json").write_text(json.dumps(envelope))
    # Nodes have seen it whole: they lose nothing, and hand it back.
    keys = _roster(made).steward_keys
    await until(
        lambda: len(verified_signatures((gw / "agreement.json").read_bytes(), AGREEMENT_TYPE, keys)) == 4
    )
    assert (gw / "agreement.json").read_bytes() == whole
    await check_healed(made)
