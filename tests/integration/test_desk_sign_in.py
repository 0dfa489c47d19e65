"""A desk that knows its agency's sign-in: people ask under the name and role that their token gives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from structlog.testing import capture_logs

from elsewhere.asking import State
from elsewhere.errors import AskInvalid
from elsewhere.identity import RoleMissing, TokenExpired, TokenInvalid, TokenMissing
from elsewhere.sdk.desk import AsyncDesk
from node.store.exchange import log
from tests.federation import ZOE, Federation, federation, person
from tests.sign_in import SUBJECT, SignIn, sign_in

ASKED: dict[str, Any] = {"purpose": "S47_ENQUIRY", "urgency": "RED"}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Serving:
    """Social care, whose desk knows a sign-in, and the police, who know Zofia and have none."""

    made: Federation
    said: SignIn

    def desk(self, token: str = "", agency: str = "social") -> AsyncDesk:
        return AsyncDesk(self.made.folder / agency, token=token)

    def log(self, agency: str, kind: str) -> list[dict[str, Any]]:
        with self.made.nodes[agency]._store.read() as connection:
            rows = connection.execute(select(log.c.body).where(log.c.kind == kind).order_by(log.c.seq))
            return [json.loads(row.body) for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    folder = tmp_path_factory.mktemp("signed-in")
    with sign_in(folder) as said:
        async with federation(folder) as made:
            made.join("social", [])
            made.join("police", [ZOE])
            made.configure("social", desk={"oidc": said.settings(folder)})
            await made.start("social", "police")
            yield Serving(made, said)


async def test_the_token_names_who_asks_and_no_name_leaves(serving: Serving) -> None:
    async with serving.desk(serving.said.token()) as desk:
        found = await desk.ask(person(ZOE), **ASKED)

    assert found.state_of("police") is State.KNOWN_CURRENT
    assert serving.log("social", "asked")[-1]["asker"] == SUBJECT
    told = serving.log("police", "answered")[-1]
    assert told["role"] == "practitioner"
    assert len(told["pseudonym"]) == 64
    assert SUBJECT not in json.dumps(told)


async def test_what_a_token_does_not_give_is_refused_and_nobody_is_asked(serving: Serving) -> None:
    said, before = serving.said, len(serving.log("social", "asked"))
    good = said.token()
    cases: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("", {}, TokenMissing),
        ("x.y.z", {}, TokenInvalid),
        (said.token(exp=1), {}, TokenExpired),
        (said.token(aud="another"), {}, TokenInvalid),
        (good, {"role": "safeguarding_lead"}, RoleMissing),
        (said.token(realm_access={"roles": ["Cleaner"]}), {}, RoleMissing),
        (said.token(realm_access={"roles": ["Reviewers"]}), {}, RoleMissing),
        (good, {"asker": "somebody-else"}, AskInvalid),
    ]

    with capture_logs() as lines:
        for token, changes, kind in cases:
            async with serving.desk(token) as desk:
                with pytest.raises(kind) as refused:
                    await desk.ask(person(ZOE), **ASKED, **changes)
            assert SUBJECT not in str(refused.value)
            assert len(token) < 9 or token.split(".")[1] not in str(refused.value)

    assert len(serving.log("social", "asked")) == before
    written = json.dumps([{key: str(value) for key, value in line.items()} for line in lines])
    assert not [
        part for token, _, _ in cases for part in token.split(".") if len(part) > 9 and part in written
    ]
    assert SUBJECT not in written


async def test_a_role_that_the_purpose_does_not_let_ask_is_denied_by_every_custodian(
    serving: Serving,
) -> None:
    async with serving.desk(serving.said.token(realm_access={"roles": ["Reviewers"]})) as desk:
        found = await desk.ask(person(ZOE), **ASKED, role="reviewer")

    assert [(answer.state, answer.code) for answer in found.answers] == [(State.DENIED, "purpose.role")]


async def test_who_asked_reads_the_history_and_of_others_only_who_may(serving: Serving) -> None:
    async with serving.desk(serving.said.token()) as desk:
        found = await desk.ask(person(ZOE), **ASKED)
        assert [answer.custodian for answer in await desk.history(found.lookup_id)] == ["police"]
    async with serving.desk(serving.said.token(sub="another")) as desk:
        with pytest.raises(RoleMissing):
            await desk.history(found.lookup_id)
        with pytest.raises(RoleMissing):
            await desk.history("0" * 32)  # nor does it tell which there are
    async with serving.desk(serving.said.token(sub="a-lead", realm_access={"roles": "Lead"})) as desk:
        assert [answer.custodian for answer in await desk.history(found.lookup_id)] == ["police"]
    async with serving.desk() as desk:
        with pytest.raises(TokenMissing):
            await desk.history(found.lookup_id)
        # Whoever runs the node looks whether it is ready, and has no token.
        assert (await desk.status()).agency == "social"


async def test_a_desk_without_a_sign_in_refuses_a_token_unread(serving: Serving) -> None:
    async with serving.desk(serving.said.token(), "police") as desk:
        with pytest.raises(TokenInvalid):
            await desk.history("0" * 32)
    async with serving.desk("", "police") as desk:
        assert (await desk.status()).agency == "police"


async def test_a_system_that_is_listed_names_the_person_itself(serving: Serving, tmp_path: Path) -> None:
    oidc = {**serving.said.settings(serving.made.folder), "systems": ["socket"]}
    serving.made.configure("social", desk={"oidc": oidc})
    await serving.made.stop("social")
    await serving.made.start("social")

    async with serving.desk() as desk:
        await desk.ask(person(ZOE), **ASKED, asker="night-desk")
    async with serving.desk(serving.said.token()) as desk:
        await desk.ask(person(ZOE), **ASKED)

    assert [entry["asker"] for entry in serving.log("social", "asked")[-2:]] == ["night-desk", SUBJECT]
