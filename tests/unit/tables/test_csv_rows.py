"""Both ways of reading rows, which must see the same."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import InvalidInput
from tasks.tables.csv_rows import CsvRows, Layout, TrainingPass

FIELDS = st.one_of(
    st.sampled_from(["", "1", "-2.5", "+3.", "1e5", "1e400", "NA", "nan", " 7", "7 ", "a", "b ", "1,5", "é", "true"]),
    st.text(alphabet='ab1 ."é\u2028', max_size=5),
)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def outcome(path: Path, *, exactly: bool) -> object:
    # A blank line at the beginning is left to the exact reader.
    layout = Layout(("x", "y"), ",", leading_blank=exactly)
    rows = CsvRows(path, "dataset", layout)
    try:
        seen = rows.read(lambda: TrainingPass(layout, "y", classes=frozenset({"a", "1"})))
    except InvalidInput as refusal:
        return str(refusal)
    seen.target.settle()
    places = [rows.place(row) for row in range(1, seen.features.rows + 1)]
    return seen.target, seen.features.rows, seen.features.varying, seen.features.texts, places


def written(fields: list[list[str]], end: str, quoted: bool) -> str:
    def plain(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if quoted or "," in text or '"' in text else text

    return "x,y" + end + "".join(",".join(map(plain, row)) + end for row in fields)


# The first table pays for what is loaded on the way.
@settings(deadline=None)
@given(st.lists(st.lists(FIELDS, min_size=1, max_size=3), max_size=12), LINE_ENDS, st.booleans())
@example([["1", "a"], [""], ["2", "b"]], "\n", False)
def test_the_quick_reader_sees_what_the_exact_one_sees(rows: list[list[str]], end: str, quoted: bool) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory, "table.csv")
        path.write_text(written(rows, end, quoted), encoding="utf-8", newline="")
        found = [outcome(path, exactly=exactly) for exactly in (False, True)]
    assert found[0] == found[1]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='a1," \n\r', max_size=40))
@example(',\r,\n1"')
def test_it_does_so_for_any_text(text: str) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory, "table.csv")
        path.write_text("x,y\n" + text, encoding="utf-8", newline="")
        found = [outcome(path, exactly=exactly) for exactly in (False, True)]
    # A quote that opens a field here may seem to end one there; the number of rows in H2O shows it.
    assert found[0] == found[1] or "text after a closing quote" in str(found[1])
