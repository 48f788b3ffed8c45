"""What a look at a file says its columns are is what H2O takes them for."""

import datetime
import decimal
import gzip
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.tables.look import look_at
from tests.contract.h2o.conftest import MakeJob
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.frames import await_job, frame_columns, remove_key

ROWS = 200
Cell = Callable[[int], object]
Parse = Callable[[Path], dict[str, dict[str, Any]]]
# H2O's word for a frame's column → ours.
KINDS = {"int": "numeric", "real": "numeric", "enum": "enum", "time": "time", "string": "string", "uuid": "string"}

TEXTS: dict[str, Cell] = {
    "numbers": lambda n: n / 7,
    "whole": lambda n: n,
    "signs": lambda n: f"+{n}.",
    "powers": lambda n: f"{n}e-3",
    "zeros and ones": lambda n: n % 2,
    "only zeros": lambda _: 0,
    "numbers with gaps": lambda n: n if n % 3 else "",
    "numbers with NA": lambda n: n if n % 3 else "NA",
    "numbers with a word": lambda n: n if n % 3 else "none",
    "numbers with two words": lambda n: n if n % 3 else ["none", "gone"][n % 2],
    "mostly words": lambda n: n if n % 3 == 0 else ["none", "gone"][n % 2],
    "mostly one word": lambda n: n if n % 3 == 0 else "gone",
    "nothing": lambda _: "",
    "only NA": lambda _: "NA",
    "one word": lambda _: "same",
    "one word with gaps": lambda n: "same" if n % 3 else "",
    "two words": lambda n: ["yes", "no"][n % 2],
    "words with zeros": lambda n: ["yes", "no", "0"][n % 3],
    "truths": lambda n: ["true", "false"][n % 2],
    "ids": lambda n: f"id{n}",
    "ids with gaps": lambda n: f"id{n}" if n % 3 else "",
    "mostly ids": lambda n: f"id{n if n > 50 else 0}",
    "uuids": lambda n: uuid.UUID(int=n * 2**90),
    "days": lambda n: f"2026-01-{n % 28 + 1:02}",
    "short days": lambda n: f"2026-1-{n % 28 + 1}",
    "months": lambda n: f"2026-{n % 12 + 1:02}",
    "days with gaps": lambda n: f"2026-01-{n % 28 + 1:02}" if n % 3 else "",
    "days with a word": lambda n: f"2026-01-{n % 28 + 1:02}" if n % 3 else "soon",
    "days with words": lambda n: f"2026-01-{n % 28 + 1:02}" if n % 3 else ["soon", "late"][n % 2],
    "moments": lambda n: f"2026-01-{n % 28 + 1:02} 10:20:{n % 60:02}",
    "fine moments": lambda n: f"2026-01-{n % 28 + 1:02} 10:20:{n % 60:02}.123",
    "finer moments": lambda n: f"2026-01-{n % 28 + 1:02} 10:20:{n % 60:02}.123456",
    "halves of days": lambda n: f"2026-01-{n % 28 + 1:02} 10:20:{n % 60:02} PM",
    "moments by the minute": lambda n: f"2026-01-{n % 28 + 1:02} 10:{n % 60:02}",
    "ISO moments": lambda n: f"2026-01-{n % 28 + 1:02}T10:20:{n % 60:02}",
    "ISO moments in UTC": lambda n: f"2026-01-{n % 28 + 1:02}T10:20:{n % 60:02}Z",
    "American days": lambda n: f"{n % 12 + 1}/{n % 28 + 1}/2026",
    "days with dashes": lambda n: f"{n % 12 + 1}-{n % 28 + 1}-2026",
    "European days": lambda n: f"{n % 28 + 1}.{n % 12 + 1}.2026",
    "days with slashes": lambda n: f"2026/{n % 12 + 1:02}/{n % 28 + 1:02}",
    "named days": lambda n: f"{n % 28 + 1:02}-Jan-2026",
    "named days in short": lambda n: f"{n % 28 + 1}Feb26",
    "named months": lambda n: f"{n % 80 + 10}-MAR",
    "clocks": lambda n: f"10:20:{n % 60:02}",
    "clocks without seconds": lambda n: f"10:{n % 60:02}",
    "compact days": lambda n: f"202601{n % 28 + 1:02}",
    "compact moments": lambda n: f"202601{n % 28 + 1:02}-10:20:{n % 60:02}",
    "dollars": lambda n: f"${n}",
    "percents": lambda n: f"{n}%",
    "decimal commas": lambda n: f'"{n},5"',
    "thousands": lambda n: f'"{n},000"',
    "quoted numbers": lambda n: f'"{n}"',
    "spaced numbers": lambda n: f" {n} ",
    "addresses": lambda n: f"10.0.{n % 3}.{n}",
    "infinities": lambda n: "inf" if n % 2 else n,
    "nans": lambda n: "nan" if n % 2 else n,
}


@pytest.fixture
def parse(client: H2OClient, make_job: MakeJob) -> Parse:
    """Has H2O read a file as it likes; answers the columns."""

    def parsed(path: Path) -> dict[str, dict[str, Any]]:
        key = f"looked_{make_job().job_id}"
        client.upload(path, f"{key}_raw")
        setup = client.post("/3/ParseSetup", {"source_frames": f'["{key}_raw"]'})
        quoted = "[" + ",".join(f'"{name}"' for name in setup["column_names"]) + "]"
        begun = client.post(
            "/3/Parse",
            {
                "source_frames": f'["{key}_raw"]',
                "destination_frame": key,
                "parse_type": setup["parse_type"],
                "separator": str(setup["separator"]),
                "number_columns": str(setup["number_columns"]),
                "single_quotes": "false",
                "column_names": quoted,
                "column_types": "[" + ",".join(f'"{kind}"' for kind in setup["column_types"]) + "]",
                "check_header": "1",
                "chunk_size": str(setup["chunk_size"]),
                "delete_on_done": "true",
            },
        )
        await_job(client, begun["job"]["key"]["name"], lambda: None)
        columns = frame_columns(client, key)
        remove_key(client, key)
        return {column["label"]: column for column in columns}

    return parsed


def kinds(columns: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: KINDS[column["type"]] for name, column in columns.items()}


def seen(path: Path) -> dict[str, str]:
    schema = look_at(path)
    assert schema.problem is None
    return {column.name: column.type for column in schema.columns}


@pytest.mark.parametrize("packed", [False, True])
def test_texts(parse: Parse, tmp_path: Path, packed: bool) -> None:
    lines = [",".join(TEXTS), *(",".join(str(cell(n)) for cell in TEXTS.values()) for n in range(ROWS))]
    content = "".join(line + "\n" for line in lines).encode()
    path = tmp_path / ("table.csv.gz" if packed else "table.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    read = parse(path)
    assert seen(path) == kinds(read)
    assert [read[name]["mean"] for name in ("dollars", "percents")] == pytest.approx([99.5, 0.995])


def test_parquet(parse: Parse, tmp_path: Path) -> None:
    columns: dict[str, object] = {
        "whole": list(range(ROWS)),
        "small": pa.array([n % 100 for n in range(ROWS)], pa.int8()),
        "unsigned": pa.array(range(ROWS), pa.uint32()),
        "floats": pa.array([n / 7 for n in range(ROWS)], pa.float32()),
        "truths": [n % 2 == 0 for n in range(ROWS)],
        "words": [["a", "b", None][n % 3] for n in range(ROWS)],
        "coded": pa.array([["a", "b"][n % 2] for n in range(ROWS)]).dictionary_encode(),
        "ids": [f"id{n}" for n in range(ROWS)],
        "large ids": pa.array([f"id{n}" for n in range(ROWS)], pa.large_string()),
        "written numbers": [str(n) for n in range(ROWS)],
        "written days": [f"2026-01-{n % 28 + 1:02}" for n in range(ROWS)],
        "days": [datetime.date(2026, 1, n % 28 + 1) for n in range(ROWS)],
        "moments": pa.array([n * 86_400_000 for n in range(ROWS)], pa.timestamp("ms")),
        "moments in UTC": pa.array([n * 86_400_000 for n in range(ROWS)], pa.timestamp("ms", "UTC")),
        "clocks": pa.array(range(ROWS), pa.time32("ms")),
        "money": pa.array([decimal.Decimal(n) / 4 for n in range(ROWS)], pa.decimal128(9, 2)),
        "large money": pa.array([decimal.Decimal(n) / 4 for n in range(ROWS)], pa.decimal128(30, 2)),
        "spans": pa.array(range(ROWS), pa.duration("ms")),
        "nothing": pa.array([None] * ROWS, pa.string()),
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    read = parse(tmp_path / "table.parquet")
    assert seen(tmp_path / "table.parquet") == kinds(read)
    # Whole numbers, decimals and spans of time arrive as what they are.
    for name, mean in (
        ("unsigned", 99.5),
        ("money", 24.875),
        ("large money", 24.875),
        ("spans", 99.5),
        ("clocks", 99.5),
    ):
        assert read[name]["mean"] == pytest.approx(mean)
