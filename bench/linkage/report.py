"""Tables of a linkage measurement: data sets, cultures, differences, and what each rule brings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bench.linkage.score import Result, Tally

_SUMMARY = (
    "| data | held | asked | precision | recall | F1 | definite | absent, any hit | absent, definite | "
    "cultures | tags | slots |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def summary(results: Sequence[Result]) -> Iterator[str]:
    """One row a data set. `definite`: the share of present children answered about as one child."""
    yield _SUMMARY
    for result in results:
        total, recalls = result.total, [tally.recall for tally in _large(result.by_culture).values()]
        spread = f"{min(recalls):.3f}-{max(recalls):.3f}" if recalls else ""
        yield (
            f"| {result.data_set} | {result.records:,} | {result.questions:,} | {total.precision:.4f} | "
            f"{total.recall:.4f} | {total.f1:.4f} | {total.matched / max(1, total.present):.4f} | "
            f"{total.absent_hit}/{total.absent} {total.false_rate:.2%} | {total.absent_match} | {spread} | "
            f"{result.tags_a_record:.1f} | {result.keys_a_question:.1f}, at most {result.most_keys} |"
        )


def cultures(result: Result) -> Iterator[str]:
    """Recall of each culture, the worst first, and how many absent of it hit anything."""
    yield f"\n{result.data_set}, by culture\n"
    yield "| culture | present | recall | absent, any hit |\n|---|---|---|---|"
    for name, tally in _ranked(result.by_culture):
        yield f"| {name} | {tally.present:,} | {tally.recall:.4f} | {tally.absent_hit}/{tally.absent} |"


def errors(result: Result) -> Iterator[str]:
    """Recall of questions whose two sides differ so, the worst first; many differ in several ways."""
    yield f"\n{result.data_set}, by difference\n\n| difference | present | recall |\n|---|---|---|"
    for name, tally in _ranked(result.by_error):
        yield f"| {name} | {tally.present:,} | {tally.recall:.4f} |"


def ablation(result: Result) -> Iterator[str]:
    """Per rule: the children it meets, those none else meets, the false hits, tags and slots."""
    reach = Counter(rule for _, rules in result.met for rule in rules)
    lone = Counter(rule for _, rules in result.met if len(rules) == 1 for rule in rules)
    false = Counter(rule for one in result.confused for rule in one.rules)
    only = Counter(rule for one in result.confused if len(one.rules) == 1 for rule in one.rules)
    present = max(1, result.total.present)
    yield f"\n{result.data_set}, by rule\n"
    yield "| rule | meets | alone | most in | false | only it | tags | slots |"
    yield "|---|---|---|---|---|---|---|---|"
    for rule, tags in result.tags.items():
        if tags or result.slots[rule]:
            yield (
                f"| `{rule}` | {reach[rule] / present:.1%} | {lone[rule] / present:.2%} | "
                f"{_most_in(result, rule)} | {false[rule]} | {only[rule]} | {tags / result.records:.2f} | "
                f"{result.slots[rule] / result.questions:.2f} |"
            )


def _most_in(result: Result, rule: str) -> str:
    """The culture that would lose most without the rule."""
    lost = Counter(culture for culture, rules in result.met if rules == {rule})
    shares = {
        culture: lost[culture] / tally.present
        for culture, tally in _large(result.by_culture).items()
        if lost[culture]
    }
    if not shares:
        return ""
    culture = max(sorted(shares), key=lambda name: shares[name])
    return f"{culture} {shares[culture]:.1%}"


def _large(tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    """Those with enough present children for a share to say something."""
    return {name: tally for name, tally in tallies.items() if tally.present >= 100}


def _ranked(tallies: Mapping[str, Tally]) -> list[tuple[str, Tally]]:
    return sorted(tallies.items(), key=lambda entry: (entry[1].recall, entry[0]))
