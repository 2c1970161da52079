"""Tables as aligned text and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Table:
    """The first column is text, the others are figures that are written already."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    texts: int = 1
    """How many columns at the left are text."""
    is_whole: bool = True
    """Nothing of this environment failed."""

    def text(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        cells = [[self._aligned(cell, column, widths) for column, cell in enumerate(line)] for line in lines]
        return "\n".join([f"\n{self.title}", self.note, "", *("  ".join(line).rstrip() for line in cells)])

    def _aligned(self, cell: str, column: int, widths: list[int]) -> str:
        return cell.ljust(widths[column]) if column < self.texts else cell.rjust(widths[column])

    def markdown(self) -> str:
        marks = ["---" if column < self.texts else "--:" for column in range(len(self.head))]
        lines = [self.head, marks, *self.rows]
        return "\n".join([f"## {self.title}\n", f"{self.note}\n", *(f"| {' | '.join(line)} |" for line in lines)])


@dataclass(frozen=True)
class Target:
    """A figure that has a wanted value, and what it means to a user."""

    name: str
    measured: float
    wanted: float
    unit: str
    meaning: str
    section: str

    def row(self) -> tuple[str, ...]:
        met = "yes" if self.measured <= self.wanted else "**no**"
        return (
            self.name, self.meaning, f"{number(self.measured)} {self.unit}".strip(),
            f"at most {number(self.wanted)}", met, f"`--only {self.section}`",
        )  # fmt: skip


def summary(targets: list[Target]) -> Table:
    note = (
        "A figure that is missed says so. `python -m benchmarks` with the words of the last column measures it again."
    )
    head = ("figure", "what it means", "measured", "wanted", "met", "again")
    return Table("Against what is wanted", note, head, [target.row() for target in targets], texts=2)


def number(value: float | None, *, signed: bool = False) -> str:
    """Write a figure with three digits that count."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
