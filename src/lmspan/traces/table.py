"""A table of results: a sequence of rows that a notebook shows, and that pandas and polars take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Iterable

R = TypeVar("R")


class Table(Sequence[R], Generic[R]):
    """Rows of one dataclass, whose fields are the columns."""

    def __init__(self, row: type[R], rows: Iterable[R]) -> None:
        self._row = row
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...
    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Table of {len(self)} {self._row.__name__} rows>"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(field.name for field in dataclasses.fields(self._row))  # type: ignore[arg-type] # a dataclass

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [{name: getattr(row, name) for name in self.columns} for row in self._rows]

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame. Raises ImportError if pandas is not installed."""
        import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore] # optional

        return pandas.DataFrame(self.to_dicts(), columns=list(self.columns))

    def to_polars(self) -> Any:
        """Return a polars.DataFrame. Raises ImportError if polars is not installed."""
        import polars  # type: ignore[import-not-found,unused-ignore] # optional

        columns = {name: [getattr(row, name) for row in self._rows] for name in self.columns}
        return polars.DataFrame(columns, strict=False)

    def _repr_html_(self) -> str:
        from lmspan.traces.html import table

        return table(self)
