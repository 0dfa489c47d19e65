"""Five questions of a researcher to the demonstration's agencies, the truth beside each estimate.

Run by:   leave `make demo` running, and in another terminal
          `.venv/bin/python examples/five_questions.py FOLDER`, where its first line names the folder.

Each answer is a noisy total over all agencies; no agency shows its own numbers to anybody. What it costs is
told first, and taken off the project's budget at every agency.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from elsewhere.research.estimate import Estimate
from elsewhere.sdk.research import Research
from elsewhere.sdk.researcher.asking import Study
from elsewhere.sdk.researcher.ends import Opened

from truth import truth

YEAR = date.today().year - 1


def questions(research: Research, year: int) -> dict[str, tuple[Study, float]]:
    """Each question in words, as it is asked, and how exact the answer is to be (19 times in 20)."""
    return {
        "Referrals by source, and whether they ended with no further action": (
            research.table("referral", year=year).group_by("source", "nfa").count(),
            40,
        ),
        "Children referred again within twelve months, by need and age (each in two groups at most)": (
            research.table("referral", year=year)
            .where(rereferral_12m="Y")
            .group_by("need", "age_band")
            .children(at_most=2),
            15,
        ),
        "Children gone missing, by whether an interview was offered on return, and accepted": (
            research.table("missing", year=year)
            .where(kind="M")
            .group_by("interview_offered", "interview_accepted")
            .children(at_most=2),
            15,
        ),
        "Attendances at an emergency department, by safeguarding concern and age": (
            research.table("ed_attendance", year=year).group_by("safeguarding_concern", "age_band").count(),
            60,
        ),
        "Children who declined help that was offered, by age (each once)": (
            research.table("engagement", year=year).where(kind="DECLINED").group_by("age_band").children(),
            12,
        ),
    }


def main(folder: Path, year: int = YEAR) -> list[tuple[Opened, dict[tuple[str, ...], int]]]:
    """Ask all five, and print each answer beside the truth."""
    research, answers = Research(folder / "ana"), []
    for words, (study, accuracy) in questions(research, year).items():
        preview = study.preview(accuracy=accuracy)
        print(f"\n{words}\n  costs rho {preview.price.rho:.4f} of {preview.budget.least_nrho / 1e9:.4f} left")
        answer = study.run(accuracy=accuracy)
        if not isinstance(answer, Opened):
            sys.exit(f"no answer: {answer}")
        true = truth(folder, study.question)
        show(answer, true)
        answers.append((answer, true))
    return answers


def show(answer: Opened, true: Mapping[tuple[str, ...], int]) -> None:
    """Print the cells that are not suppressed, and what stands with all of them."""
    for cell in answer.cells:
        if isinstance(cell, Estimate):
            interval = f"{max(0, cell.low):.0f} to {cell.high:.0f}"
            print(
                f"  {' '.join(cell.keys):12} {cell.shown:6.0f}   {interval:>12}   truth {true[cell.keys]:5}"
            )
    suppressed = len(answer.cells) - len(answer.estimates)
    print(f"  {suppressed} suppressed. {answer.caption()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: five_questions.py FOLDER, as 'make demo' names it")
    main(Path(sys.argv[1]))
