"""Print what recording costs, side by side with what the same costs otherwise.

python -m benchmarks                 every table; another package is a row with the reason if it cannot run
python -m benchmarks --peers         first makes the environments of the other packages, in the user's cache
python -m benchmarks --quick         the shortest form; exits with 1 where lmspan itself fails
python -m benchmarks --only export tail
python -m benchmarks --only programs --programs Predict
python -m benchmarks --markdown      the same for the documents
python -m benchmarks --write         puts it into docs/reference/performance.md
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.effort import QUICK, Effort, machine
from benchmarks.measuring import ROOT, Failed
from benchmarks.programs import PROGRAMS
from benchmarks.sections import SECTIONS
from benchmarks.tables import Table, Target, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "reference" / "performance.md"
BEGIN, END = "<!-- made by `python -m benchmarks --write` -->", "<!-- until here -->"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", action="store_true", help=f"make the environments under {peers.directory()}")
    parser.add_argument("--quick", action="store_true", help="the shortest form, without other packages")
    parser.add_argument("--long", action="store_true", help="also a million calls")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, metavar="PROGRAM", help="; ".join(PROGRAMS))
    parser.add_argument("--rounds", type=int, help="how often each contender has its turn")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    given = parser.parse_args()
    if given.write and (given.only or given.quick or given.programs):
        parser.error("--write needs every table: leave --only, --programs and --quick out")
    return given


def effort(given: argparse.Namespace) -> Effort:
    chosen = QUICK if given.quick else Effort(is_long=given.long)
    changes = {"rounds": given.rounds, "programs": given.programs and tuple(given.programs)}
    return replace(chosen, **{name: value for name, value in changes.items() if value})


def measured(given: argparse.Namespace) -> Iterator[Table]:
    """Measure the sections; a section that fails is a table with the reason. The last table has the targets."""
    targets: list[Target] = []
    for name in given.only or SECTIONS:
        print(f"measuring: {name}", file=sys.stderr)
        try:
            for each in SECTIONS[name](effort(given)):
                if isinstance(each, Table):
                    yield each
                else:
                    targets.append(each)
        except Failed as failed:
            yield Table(name, f"It does not run: {failed}", ("",), is_whole=False)
    yield summary(targets)


def write(text: str) -> None:
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


def main() -> int:
    given = options()
    for peer in peers.PEERS if given.peers else ():
        print(f"{peer}: {peers.make(peer) or 'ready'}", file=sys.stderr)
    description, tables = machine(), []
    for table in measured(given):
        tables.append(table)
        if not (given.markdown or given.write):
            print(table.text(), flush=True)
    *others, targets = tables
    text = "\n\n".join([description, *(table.markdown() for table in (targets, *others))])
    print(text if given.markdown else f"\n{description}")
    if given.write:
        write(text)
    return 0 if all(table.is_whole for table in tables) else 1


if __name__ == "__main__":
    sys.exit(main())
