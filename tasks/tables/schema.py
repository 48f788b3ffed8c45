"""What a file with a table shows before anything is trained on it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tasks.contracts import Frozen
from tasks.tabular import ColumnType

MOST_COLUMNS = 2000
# PostgreSQL holds no NUL.
Shown = Annotated[str, BeforeValidator(lambda text: text.replace("\0", "\ufffd") if isinstance(text, str) else text)]


class TableColumn(Frozen):
    """A column; ``type`` is one of those that a spec's ``types`` can set instead."""

    name: Shown
    type: ColumnType = Field(description="What training reads it as, unless types says otherwise.")
    missing_share: float = Field(ge=0, le=1, description="Share of the rows looked at that have no value here.")
    examples: list[Shown] = Field(description="A few of its different values, as they are written.")
    note: Shown | None = Field(default=None, description="What may not be as it is meant, and what to do about it.")


class TableSchema(Frozen):
    """How training reads a file, found out from the whole of it, or from its beginning if it is large."""

    format: Literal["csv", "parquet"]
    compression: Literal["gzip"] | None = Field(default=None, description="How the file as a whole is compressed.")
    encoding: str | None = Field(default=None, description="The encoding of a CSV file's text.")
    separator: str | None = Field(default=None, description="What stands between the fields of a CSV file.")
    rows: int = Field(description="Rows below the header.")
    rows_are_exact: bool = Field(description="Whether there are so many rows, or at least so many.")
    column_count: int
    columns: list[TableColumn] = Field(description=f"The first {MOST_COLUMNS} of them; fewer if their names are long.")
    problem: Shown | None = Field(default=None, description="Why no job can read the file as it is, and what to do.")
