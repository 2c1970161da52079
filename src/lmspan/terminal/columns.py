"""Lines of columns for the terminal: figures are never cut; a bar shrinks first, then the text.

Rich's tables measure every cell several times, which takes minutes for a long trace. Here a cell is measured once, and
the cells of a line become segments directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.style import Style

    Piece = tuple[str, str]
    """A text and its style."""

_ROOMY: Final = 100  # columns from which on there are two blanks between columns
_NARROWEST_TEXT: Final = 24
_NARROWEST_BAR: Final = 8
_LEAST: Final = 24


class Column(NamedTuple):
    """A column; one that may be cut gets the width that the others leave.

    Where the others leave too little, columns are left out, the one with the greatest `optional` first.
    """

    title: str = ""
    right: bool = False
    cut: bool = False
    optional: int = 0
    least: int = _LEAST
    """The width down to which it is cut before columns are left out."""


class Cell(NamedTuple):
    """Texts with their styles, and the number of columns that they take."""

    pieces: tuple[Piece, ...]
    width: int


def cell(*pieces: Piece) -> Cell:
    """Return a cell of several styles."""
    return Cell(pieces, sum(_width(content) for content, _ in pieces))


def text(content: str, style: str = "") -> Cell:
    """Return a cell of one style."""
    return Cell(((content, style),), _width(content))


EMPTY: Final = Cell((), 0)


def _width(content: str) -> int:
    return len(content) if content.isascii() else cell_len(content)


def gap_of(total: int) -> str:
    """Return the blanks between columns in a terminal of this width."""
    return "  " if total >= _ROOMY else " "


class Lines:
    """Lines of cells under a header, for rich."""

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        self._columns = columns
        self._rows = list(rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = [index for index in range(len(self._columns)) if self._is_used(index)]
        widths = self._fit(shown, options.max_width, gap_of(options.max_width))
        style_of = _Styles(console.get_style).__getitem__
        titles = [text(column.title, "dim") for column in self._columns]
        for row in (titles, *self._rows) if any(column.title for column in self._columns) else self._rows:
            yield from self._line(row, widths, gap_of(options.max_width), style_of)

    def _is_used(self, index: int) -> bool:
        return any(row[index].width for row in self._rows)

    def _fit(self, shown: Sequence[int], total: int, gap: str) -> list[tuple[int, int]]:
        """Return the columns that are shown with their widths."""
        widths = {index: self._natural(index) for index in shown}
        cut = [index for index in shown if self._columns[index].cut]
        left = total - sum(widths[index] for index in shown if index not in cut) - len(gap) * (len(shown) - 1)
        for index in sorted(widths, key=lambda each: -self._columns[each].optional):
            if (
                left >= sum(min(widths[each], self._columns[each].least) for each in cut)
                or not self._columns[index].optional
            ):
                break
            left += (0 if index in cut else widths[index]) + len(gap)
            del widths[index]
            cut = [each for each in cut if each != index]
        for place, index in enumerate(sorted(cut, key=lambda each: widths[each])):  # a short one leaves more
            widths[index] = min(widths[index], max(left // (len(cut) - place), 1))
            left -= widths[index]
        return list(widths.items())

    def _natural(self, index: int) -> int:
        return max([len(self._columns[index].title), *(row[index].width for row in self._rows)])

    def _line(
        self, row: Sequence[Cell], widths: Sequence[tuple[int, int]], gap: str, style_of: Callable[[str], Style | None]
    ) -> Iterator[Segment]:
        plain = ""  # blanks and texts without a style, which go into one segment
        for index, width in widths:
            content = row[index] if row[index].width <= width else _cut(row[index], width)
            blank = " " * (width - content.width)
            plain += blank if self._columns[index].right else ""
            for piece, style in content.pieces:
                if not style or not piece:
                    plain += piece
                    continue
                if plain:
                    yield Segment(plain)
                    plain = ""
                yield Segment(piece, style_of(style))
            plain += gap if self._columns[index].right else blank + gap
        yield Segment(plain.rstrip() + "\n")


class _Styles(dict[str, "Style | None"]):
    def __init__(self, read: Callable[[str], Style]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, name: str) -> Style | None:
        self[name] = style = self._read(name)
        return style


def _cut(content: Cell, width: int) -> Cell:
    """Return a cell that is cut to a width and ends in an ellipsis."""
    pieces: list[Piece] = []
    left = width - 1
    for piece, style in content.pieces:
        size = _width(piece)
        if size > left:
            pieces.append((set_cell_size(piece, left) + "…", style))
            break
        pieces.append((piece, style))
        left -= size
    return cell(*pieces)


def bar_width(left: int, names: int, widest: int) -> int:
    """Return the width of a waterfall where names and waterfall have `left` columns; 0 if that is too little for it."""
    bar = min(widest, left - names)
    if bar < _NARROWEST_BAR and left - _NARROWEST_BAR >= _NARROWEST_TEXT:
        bar = _NARROWEST_BAR
    return bar if bar >= _NARROWEST_BAR else 0
