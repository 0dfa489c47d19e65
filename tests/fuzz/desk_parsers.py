"""Parsers of what an agency's own side sends: its systems, its practitioners, its exports, its operators."""

from __future__ import annotations

import base64
import io
import json
from datetime import UTC, date, datetime, timedelta

import grpc
from joserfc.jwk import ECKey

from elsewhere.cli.person_file import parse_person
from elsewhere.errors import ElsewhereError
from elsewhere.matchkeys import question_keys, record_keys
from elsewhere.person.identity import Person
from elsewhere.wire.convert import desk, desk_notice, desk_review, desk_second
from elsewhere.wire.desk_status import CODE_KEY, from_desk_status
from elsewhere.wire.v1 import desk_pb2
from node.caseload.csv_source import CsvSource
from node.caseload.mapping import CsvForm, mapping_from_toml
from node.caseload.rows import RowError, RowReader
from node.caseload.sources import check_columns
from node.desk.provider import parse_discovery, parse_keys
from node.desk.tokens import Expected, claims_to_identity, identity_in, key_id, open_token
from tests.fuzz.mutation import as_json
from tests.fuzz.parser import Parser, message_of, wire


def _to_question(person: Person) -> None:
    """What follows a person that a system or a file described: the match keys of a question."""
    assert len(question_keys(person)) <= 40
    assert Person.from_canonical(person.canonical()) == person


def _desk_error(data: bytes) -> None:
    """How a call to a desk ended: a message and trailers, in which another program may put anything."""
    try:
        found = json.loads(data)
        message = str(found["message"])
        trailers = [(str(name), str(value)) for name, value in dict(found["trailers"]).items()]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    raised = from_desk_status(grpc.StatusCode.INVALID_ARGUMENT, message, trailers)
    assert isinstance(raised, ElsewhereError)


def _rows(data: bytes) -> None:
    """An export in the wrong hands' writing, row by row, as far as a person."""
    mapping = mapping_from_toml(_MAPPING.encode())
    source = CsvSource(io.BytesIO(data), mapping.source.csv or CsvForm())
    check_columns(source, mapping.columns())
    reader = RowReader(mapping, source.header, date(2026, 9, 1))
    for _, cells in source.rows():
        try:
            record_keys(Person.from_canonical(reader.read(cells).person))
        except RowError:
            continue


_MAPPING = """
[source]
name = "export"
max_age_days = 7
date_formats = ["%d/%m/%Y", "%Y-%m-%d"]
[source.csv]
[person]
id = "id"
given = "given"
family = "family"
birth_date = "born"
postcode = "postcode"
nhs_number = "nhs"
[record]
status = { always = "CURRENT" }
last_contact = "seen"
[shield]
column = "shield"
values = { yes = "SHIELD_LOCATION", no = "" }
[[flags]]
code = "CP_PLAN"
start = "plan"
"""
_ROWS = (
    b"id,given,family,born,postcode,nhs,seen,shield,plan\n"
    b'1,Ada,"Quilla, Zed",01/02/2015,ZZ1 1AA,9990000018,2026-08-01,no,\n'
    b"2,Ben Ali,O'Zed,2016-03-04,,,,yes,01/01/2026\n"
)
_PERSON = {
    "given": ["Ada", "Mae"],
    "family": "Quilla-Zed",
    "dob": "2015-02-01",
    "postcode": "ZZ1 1AA",
    "nhs_number": "999 000 0018",
    "aliases": ["Addie Zed"],
    "past_postcodes": ["ZZ2 2BB"],
}
_MAIS = {
    "identifier": [{"value": "9990000018", "system": "https://fhir.nhs.uk/Id/nhs-number"}],
    "name": [{"familyName": ["Quilla"], "givenName": ["Ada"], "use": "usual"}],
    "dateOfBirth": {"value": "2015-02-01"},
    "address": [{"postcode": "ZZ1 1AA", "use": "home"}],
}
_ERRORS = [
    {"message": "family: expected a name", "trailers": {CODE_KEY: code, "elsewhere-field": "family"}}
    for code in (
        "person.malformed",
        "roster.not_active",
        "question.vocabulary",
        "ask.invalid",
        "of.a.later.version",
    )
]


_REVIEW = desk_pb2.Review(
    number="0" * 16,
    searcher="police",
    purpose="S47_ENQUIRY",
    basis="A6E_TASK",
    urgency="RED",
    role="practitioner",
    pseudonym="0" * 8,
    case_code="0" * 8,
    clause="rule 1",
    asked="2026-11-23T09:00:00Z",
    expected_by="2026-11-23T13:00:00Z",
    lapses="2026-11-26T09:00:00Z",
)
_LOOK = desk_pb2.SecondLook(
    lookup_id="0" * 32,
    asker="ada",
    purpose="S47_ENQUIRY",
    reason="at risk now",
    asked="2026-11-23T09:00:00Z",
    due="2026-11-25T00:00:00Z",
)
_NOTICE = desk_pb2.Notice(
    reference="A1B2C3D4",
    searcher="police",
    purpose="S47_ENQUIRY",
    urgency="RED",
    state="KNOWN_CURRENT",
    tier="R2",
    told="2026-11-23T09:00:00Z",
    records=[desk_pb2.NoticeRecord(source="cases", id="7")],
)
_ISSUER = "https://sign-in.example/tenant"
_KEY = ECKey.import_key(  # of tests alone: its secret number is 1
    {
        "kty": "EC",
        "crv": "P-256",
        "kid": "first",
        "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
        "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
    }
)
_SIGN_IN = Expected(
    issuer=_ISSUER,
    audience="desk",
    algorithms=("ES256",),
    tolerance=timedelta(minutes=1),
    subject_claim="sub",
    role_claim=("realm", "roles"),
    roles={"Social-Worker": "practitioner"},
)
_CLAIMS = {
    "iss": _ISSUER,
    "aud": "desk",
    "sub": "7",
    "iat": 1_800_000_000,
    "exp": 1_800_000_300,
    "realm": {"roles": ["Social-Worker"]},
}


def _token(data: bytes) -> None:
    """A token as a system sends it; its signature is looked at last."""
    shown = open_token(data.decode("latin-1"), _SIGN_IN.algorithms)
    key_id(shown)
    identity_in(shown, _KEY, _SIGN_IN, datetime.fromtimestamp(1_800_000_000, UTC))


def _signed_claims(data: bytes) -> None:
    """Claims that a provider did sign: they may be anything."""
    claims_to_identity(data, _SIGN_IN, datetime.fromtimestamp(1_800_000_000, UTC))


def _signed_token() -> bytes:
    """The one token here that verifies; made once, as such signatures differ each time."""
    parts = (b'{"alg":"ES256","kid":"first","typ":"JWT"}', json.dumps(_CLAIMS).encode())
    signature = b"OKEcFWKn_kgpRllZ4BVgJooFWk4Ao0DKha8EwZJsq-Nk8qf6mhzh_eQ-aUu4VYGBB0yVK3oNLtiNkd6UrmX6EA"
    return b".".join((*(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts), signature))


def desk_parsers() -> tuple[Parser, ...]:
    """What an agency's own systems send their node, what it answers, and what operators feed it."""
    person = desk_pb2.PersonInput(
        given=["Ada"],
        family="Quilla",
        birth_date="2015-02-01",
        postcodes=["ZZ1 1AA"],
        nhs_number="9990000018",
        aliases=[desk_pb2.AliasInput(given=["Addie"], use="nickname")],
    )
    unborn = desk_pb2.PersonInput(unborn=desk_pb2.UnbornInput(mother=person, due_date="2026-12-01"))
    asks = [
        desk_pb2.AskRequest(person=who, purpose="S47_ENQUIRY", urgency="RED", asker="ada")
        for who in (person, unborn)
    ]
    answer = desk_pb2.AskAnswer(
        custodian="police", custodian_name="Police", state="KNOWN_CURRENT", strength="STRONG", tier="R2"
    )
    events = (
        desk_pb2.AskResponse(answer=answer),
        desk_pb2.AskResponse(started=desk_pb2.AskStarted(lookup_id="0" * 32, custodians=["police"])),
        desk_pb2.AskResponse(done=desk_pb2.AskDone(coverage="COMPLETE", summary="all answered")),
    )
    plain = [json.dumps(document).encode() for document in (_PERSON, _MAIS)]
    return (
        wire(
            "ask",
            desk_pb2.AskRequest,
            message_of(
                desk_pb2.AskRequest, lambda message: question_keys(desk.ask_from_wire(message).person)
            ),
            *(ask.SerializeToString() for ask in asks),
        ),
        wire(
            "ask_event",
            desk_pb2.AskResponse,
            message_of(desk_pb2.AskResponse, desk.event_from_wire),
            *(event.SerializeToString() for event in events),
        ),
        wire(
            "status",
            desk_pb2.StatusResponse,
            message_of(desk_pb2.StatusResponse, desk.status_from_wire),
            desk_pb2.StatusResponse(
                agency="trust", ready=True, members=[desk_pb2.StatusMember(custodian="police", name="Police")]
            ).SerializeToString(),
        ),
        wire(
            "history",
            desk_pb2.HistoryResponse,
            message_of(desk_pb2.HistoryResponse, desk.history_from_wire),
            desk_pb2.HistoryResponse(answers=[answer]).SerializeToString(),
        ),
        wire(
            "reviews",
            desk_pb2.ListReviewsResponse,
            message_of(desk_pb2.ListReviewsResponse, desk_review.reviews_from_wire),
            desk_pb2.ListReviewsResponse(reviews=[_REVIEW]).SerializeToString(),
        ),
        wire(
            "review_decision",
            desk_pb2.DecideReviewRequest,
            message_of(desk_pb2.DecideReviewRequest, desk_review.decision_from_wire),
            desk_pb2.DecideReviewRequest(number="0" * 16, releases=True, reason="called").SerializeToString(),
        ),
        wire(
            "second_looks",
            desk_pb2.ListSecondLooksResponse,
            message_of(desk_pb2.ListSecondLooksResponse, desk_second.looks_from_wire),
            desk_pb2.ListSecondLooksResponse(looks=[_LOOK]).SerializeToString(),
        ),
        wire(
            "second_opinion",
            desk_pb2.GiveSecondLookRequest,
            message_of(desk_pb2.GiveSecondLookRequest, desk_second.opinion_from_wire),
            desk_pb2.GiveSecondLookRequest(lookup_id="0" * 32, justified=True, note="so").SerializeToString(),
        ),
        wire(
            "notices",
            desk_pb2.ListNoticesResponse,
            message_of(desk_pb2.ListNoticesResponse, desk_notice.notices_from_wire),
            desk_pb2.ListNoticesResponse(notices=[_NOTICE]).SerializeToString(),
        ),
        wire(
            "notice_done",
            desk_pb2.FinishNoticeRequest,
            message_of(desk_pb2.FinishNoticeRequest, desk_notice.done_from_wire),
            desk_pb2.FinishNoticeRequest(reference="A1B2C3D4", by="ada").SerializeToString(),
        ),
        Parser(
            "person_file",
            lambda data: _to_question(parse_person(data)),
            tuple(plain),
            as_json(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
        ),
        Parser(
            "desk_error",
            _desk_error,
            tuple(json.dumps(error).encode() for error in _ERRORS),
            as_json(lambda value: json.dumps(value).encode()),
        ),
        Parser(
            "oidc_discovery",
            lambda data: parse_discovery(data, _ISSUER),
            (json.dumps({"issuer": _ISSUER, "jwks_uri": f"{_ISSUER}/keys"}).encode(),),
            as_json(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        ),
        Parser(
            "oidc_keys",
            parse_keys,
            (json.dumps({"keys": [_KEY.as_dict(private=False)]}).encode(),),
            as_json(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        ),
        Parser("oidc_token", _token, (_signed_token(),)),
        Parser(
            "oidc_claims",
            _signed_claims,
            (json.dumps(_CLAIMS).encode(),),
            as_json(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        ),
        Parser("export", _rows, (_ROWS,)),
        Parser("mapping_file", mapping_from_toml, (_MAPPING.encode(),)),
    )
