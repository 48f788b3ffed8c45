"""An uploaded file as people read it, with the columns of its table."""

from rich.text import Text

from turnout.cli.session import Session, print_fields, print_table
from turnout.cli.wording import age, size
from turnout.records import File, TableColumn, TableSchema

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


def print_file(session: Session, file: File) -> None:
    table = file.table
    print_fields(
        session,
        {
            "file": file.id,
            "name": file.name,
            "type": file.media_type,
            "size": size(file.size_bytes),
            "uploaded": f"{age(file.created_at)} ago",
            "table": None if table is None else _shape(table),
            "problem": None if table is None else table.problem,
        },
    )
    if table is None or not table.columns:
        return
    rows = [
        (column.name, column.type, _share(column), " · ".join(column.examples), column.note or "")
        for column in table.columns
    ]
    session.out.print()
    print_table(session, ["column", "type", "missing", "examples", "note"], rows, right=["missing"])
    left = table.column_count - len(table.columns)
    if left:
        session.out.print(Text(f"and {left} more columns"))


def _shape(table: TableSchema) -> str:
    """Such as "CSV, utf-8, separator semicolon, at least 1,000 rows, 3 columns"."""
    separator = table.separator
    parts = [
        {"csv": "CSV", "parquet": "Parquet"}.get(table.format, table.format),
        table.compression,
        table.encoding,
        None if separator is None else f"separator {_SEPARATORS.get(separator, separator)}",
        f"{'' if table.rows_are_exact else 'at least '}{table.rows:,} rows" if table.rows else None,
        f"{table.column_count:,} columns" if table.column_count else None,
    ]
    return ", ".join(part for part in parts if part is not None)


def _share(column: TableColumn) -> str:
    return f"{column.missing_share:.1%}" if column.missing_share else ""
