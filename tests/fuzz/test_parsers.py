"""Parsers of what others sent end in a value or in one of their own refusals, whatever the bytes."""

from __future__ import annotations

import time

import pytest

from tests.fuzz.corpus import kept
from tests.fuzz.mutation import case
from tests.fuzz.parser import Parser
from tests.fuzz.parsers import all_parsers

CASES = 300  # of each parser here; `make fuzz` runs a million, guided by coverage
SLOWEST_S = 2.0  # of one case of 64 KiB at most; a hundred times what any has taken
PARSERS = all_parsers()


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_accepts_what_is_valid(parser: Parser) -> None:
    for example in parser.seeds:
        parser.run(example)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_takes_any_bytes(parser: Parser) -> None:
    cases = [
        (f"{parser.name}/{n}", case(parser.seeds, parser.mutate, f"{parser.name}/{n}")) for n in range(CASES)
    ]
    cases += [(f"{parser.name} corpus line {n}", data) for n, data in enumerate(kept(parser.name), 1)]
    for name, data in cases:
        took = seconds_of(parser, name, data)
        if took >= SLOWEST_S:  # once more: collecting the garbage of a whole run falls on somebody
            took = min(took, seconds_of(parser, name, data))
        assert took < SLOWEST_S, name


def seconds_of(parser: Parser, name: str, data: bytes) -> float:
    """CPU seconds of this thread alone: threads that other tests leave are not the parser's."""
    began = time.thread_time()
    try:
        parser.accepts(data)
    except Exception as err:
        pytest.fail(f"case {name}: {type(err).__name__}: {err}")
    return time.thread_time() - began


def test_the_mutations_reach_past_the_first_check() -> None:
    reached = {
        parser.name: sum(
            parser.accepts(case(parser.seeds, parser.mutate, f"{parser.name}/{n}")) for n in range(CASES)
        )
        for parser in PARSERS
    }
    # Behind a signature, a proof or a seal no mutation is accepted, nor where nearly all is of fixed length;
    # everywhere else some are.
    closed = {"element_batch", "seal", "certificate", "certificate_request", "receipt_file", "join_request"}
    closed |= {"oidc_token", "study_prepare"}
    assert {name for name, accepted in reached.items() if accepted == 0} <= closed
