"""The list of parsers is whole: every call of every service, and every function that reads others' bytes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from elsewhere.wire.v1 import (
    catalogue_pb2,
    desk_pb2,
    directory_pb2,
    enrolment_pb2,
    ledger_pb2,
    link_pb2,
    research_pb2,
    study_pb2,
)
from tests.architecture.sources import ROOT
from tests.fuzz.parsers import all_parsers

PARSERS = {parser.name for parser in all_parsers()}
# What a server reads of each call, and what a client reads of the answer. PLAIN: numbers, and names that are
# only compared with those known.
PLAIN = "plain"
CALLS = {
    "LinkService.Attach": ({"frame_from_node"}, {"frame_from_gateway"}),
    "DirectoryService.PublishStatement": ({"key_statement", "signed_envelope"}, {PLAIN}),
    "DirectoryService.PublishDocuments": ({"roster", "agreement", "signed_envelope"}, {PLAIN}),
    "EnrolmentService.Join": ({"join_request"}, {PLAIN}),
    "EnrolmentService.Standing": ({PLAIN}, {"admission"}),
    "EnrolmentService.JoinResearcher": ({"certificate_request"}, {"admission"}),
    "EnrolmentService.Renew": ({"certificate_renewal", "certificate_request"}, {"certificate"}),
    "DirectoryService.Freshen": (
        {"roster_freshness", "statement_note"},
        {"roster_freshness", "statement_note"},
    ),
    "CatalogueService.Publish": ({"catalogue_publication", "catalogue_statement"}, {PLAIN}),
    "CatalogueService.Fetch": (
        {"catalogue_fetch"},
        {"catalogue_piece", "catalogue_snapshot", "catalogue_delta"},
    ),
    "CatalogueService.Grant": ({"catalogue_publication", "catalogue_fetch"}, {PLAIN}),
    "StudyService.Attend": (
        {"study_from_node", "study_prepare_signed", "study_share_signed"},
        {"study_from_gateway", "study_query", "study_terms", "study_prepare_signed", "study_budget_request"},
    ),
    "ResearchService.Describe": ({PLAIN}, {"roster", "agreement", "study_agreed"}),
    "ResearchService.Study": ({"study_query"}, {"study_prepare_signed", "study_share_signed", "study_body"}),
    "ResearchService.Budget": ({"study_budget_request"}, {"study_budget"}),
    "LedgerService.PublishHashes": ({"checkpoint"}, {PLAIN}),
    "LedgerService.Checkpoints": ({PLAIN}, {"checkpoint"}),
    "LedgerService.Cosign": ({"cosignature"}, {PLAIN}),
    "LedgerService.ProveGrowth": ({PLAIN}, {"log_path"}),
    "LedgerService.ProveEntry": ({PLAIN}, {"log_path"}),
    "DeskService.Ask": ({"ask"}, {"ask_event", "desk_error"}),
    "DeskService.Status": ({PLAIN}, {"status"}),
    "DeskService.History": ({PLAIN}, {"history"}),
    "DeskService.ListReviews": ({PLAIN}, {"reviews"}),
    "DeskService.DecideReview": ({"review_decision"}, {PLAIN}),
    "DeskService.ListSecondLooks": ({PLAIN}, {"second_looks"}),
    "DeskService.GiveSecondLook": ({"second_opinion"}, {PLAIN}),
    "DeskService.ListNotices": ({PLAIN}, {"notices"}),
    "DeskService.FinishNotice": ({"notice_done"}, {PLAIN}),
}
# Functions that a listed parser reaches without naming them, by that parser.
REACHED = {
    "elsewhere.agreement.document.open_agreement": "directory",
    "elsewhere.agreement.studies.HeldTable.from_fields": "study_agreed",
    "elsewhere.agreement.studies.Project.from_fields": "study_agreed",
    "elsewhere.agreement.studies.Researcher.from_fields": "study_agreed",
    "elsewhere.anchor.Federation.from_json": "admission",
    "elsewhere.research.question.Metric.from_fields": "study_terms",
    "elsewhere.research.question.Question.from_fields": "study_terms",
    "elsewhere.securesum.opening.open_shares": "study_share_signed",
    "elsewhere.catalogue.sealed.open_chunk": "catalogue_piece",
    "elsewhere.catalogue.tags.from_bytes": "catalogue_snapshot",
    "elsewhere.person.dates.parse_date": "export",
    "elsewhere.person.identity.Person.from_mais": "person_file",
    "elsewhere.person.mais.person_from_mais": "person_file",
    "elsewhere.receipt.open_member_receipt": "receipt_file",
    "elsewhere.roster.Member.from_fields": "roster",
    "elsewhere.roster.Steward.from_fields": "roster",
    "elsewhere.sdk.researcher.trust.open_documents": "proposal",
    "elsewhere.sealing.SealingPublic.from_bytes": "key_statement",
    "elsewhere.signing.open_document": "signed_envelope",
    "elsewhere.succession.open_succession": "proposal",
    "elsewhere.transparency.checkpoint.open_log": "log_proof",
    "elsewhere.statement.OprfKeyEntry.from_fields": "key_statement",
    "elsewhere.statement.SealingKeyEntry.from_fields": "key_statement",
    "elsewhere.statement.open_statement": "directory",
    "elsewhere.toml.parse_toml": "mapping_file",
    "elsewhere.wire.convert.desk_person.person_from_wire": "ask",
    "elsewhere.wire.envelope.unwrap": "seal",
    "node.caseload.csv_source.open_csv": "export",
    "node.caseload.mapping.parse_mapping": "mapping_file",
    "node.caseload.sources.open_source": "export",
    "node.catalogues.grants.open_grant": "catalogue_piece",
    "node.catalogues.holding.Reader.read_statement": "catalogue_piece",
    "node.catalogues.ownfile.read_statement": "catalogue_statement",  # once this agency's signature holds
    "node.membership.directory.DirectoryIntake.take_directory": "directory",
    "node.links.link.Intake.take_directory": "directory",
    "node.membership.trust.Trust.take_directory": "directory",
}
# Functions that read what this very program wrote, its operator's settings, or a database; or nothing at all.
OWN = {
    "elsewhere.agreement.local.LocalPolicy.from_fields",
    "elsewhere.agreement.vocabulary.vocabulary_from_toml",
    "elsewhere.cli.desk_options.open_desk",
    "elsewhere.database.engine.open_database",
    "elsewhere.sealing.SealingKey.from_bytes",
    "elsewhere.transparency.frontier.Frontier.from_bytes",
    "gateway.invitations.Invitation.from_bytes",
    "gateway.lookups.Lookups.open_routes",
    "node.auditing.opening.open_picked",  # this agency's own questions
    "node.asking.part.Part.open_answer",  # opens a seal, then what is in it: parsers of their own
    "node.asking.part.Part.open_reply",
    "node.caseload.opening.open_job",
    "node.caseload.parquet_source.open_parquet",  # read by pyarrow: docs/fuzzing.md
    "node.caseload.sql_source.open_sql",
    "node.caseload.sqlite_source.open_sqlite",
    "node.links.link.Link.open_session",
    "node.keys.live.open_keys",
    "node.owning.open_own",
    "node.store.engine.open_store",
    "node.studies.tables.engines.open_table",  # this agency's own table, by an engine of others
}
_READS = re.compile(
    r"([a-z]\w*_)?from_(wire|json|bytes|toml|canonical|mais|fields|desk_status)|(parse|open)_\w+|check_from_\w+"
    r"|unwrap|unpad|check_request|check_issued|check_batch|read_statement|take_directory"
)


def _readers() -> Iterator[str]:
    """The public functions and methods whose names say that they read, by their full names."""
    for path in sorted(
        path for top in ("elsewhere", "gateway", "node") for path in (ROOT / top).rglob("*.py")
    ):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if ".v1." in module or ".demo." in module:
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            inside = f"{module}.{node.name}" if isinstance(node, ast.ClassDef) else module
            for one in node.body if isinstance(node, ast.ClassDef) else [node]:
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and _READS.fullmatch(one.name):
                    yield f"{inside}.{one.name}"


def _is_named(reader: str, targets: str) -> bool:
    """Whether a target calls a function; a method with its class."""
    *_, owner, function = reader.split(".")
    is_method = owner[0].isupper()
    return re.search(rf"\b{owner}\.{function}\b" if is_method else rf"\b{function}\b", targets) is not None


def test_every_call_of_every_service_has_parsers() -> None:
    services = {
        f"{service.name}.{method.name}"
        for module in (
            *(catalogue_pb2, desk_pb2, directory_pb2, enrolment_pb2),
            *(ledger_pb2, link_pb2, research_pb2, study_pb2),
        )
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert services == set(CALLS)
    named = {name for both in CALLS.values() for names in both for name in names}
    assert named - {PLAIN} <= PARSERS


def test_every_function_that_reads_what_others_sent_is_fuzzed() -> None:
    targets = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("*parsers.py"))
    known = {*REACHED, *OWN}
    # Each of these is to be a parser in tests/fuzz, or a line above that says by which it is reached.
    assert {name for name in _readers() if name not in known and not _is_named(name, targets)} == set()


def test_no_line_above_speaks_of_what_is_gone() -> None:
    assert {*REACHED, *OWN} - set(_readers()) == set()
    assert set(REACHED.values()) <= PARSERS
