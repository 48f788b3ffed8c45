"""What predicting with tensors asks for and answers, whatever library computes it."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, JsonValue, Tag, model_validator

from tasks.contracts import ArtifactInput, FileInput, Frozen, Input, JobResult, JobSpec
from tasks.models import ModelFileName, ModelRef

MOST_DIMENSIONS = 16
MOST_TENSORS = 64
_SCALARS = {bool, int, float, str}
Name = Annotated[str, Field(min_length=1, max_length=500)]
Dtype = Literal[
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "string",
]


def shape_of(data: JsonValue, depth: int = 0) -> tuple[int, ...]:
    """The lengths of nested lists. Raises ``ValueError`` unless they are regular and end in numbers, truth values or
    texts."""
    if not isinstance(data, list):
        if data is None or isinstance(data, dict):
            raise ValueError("a tensor is a number, a truth value, a text, or lists of them nested to its shape")
        return ()
    if depth == MOST_DIMENSIONS:
        raise ValueError(f"a tensor has at most {MOST_DIMENSIONS} dimensions")
    if data and set(map(type, data)) <= _SCALARS:
        return (len(data),)
    shapes = {shape_of(item, depth + 1) for item in data}
    if len(shapes) > 1:
        raise ValueError("the lists of a tensor must all be of one length at each depth")
    return (len(data), *(shapes.pop() if shapes else ()))


def _regular(data: JsonValue) -> JsonValue:
    shape_of(data)
    return data


def _written_out(value: object) -> object:
    """Plain lists and numbers are a tensor, too."""
    return value if isinstance(value, dict | Frozen) else {"data": value}


class TensorValues(Frozen):
    """A tensor written out as nested lists."""

    data: Annotated[JsonValue, AfterValidator(_regular)]
    dtype: Dtype | None = Field(default=None, description="As the model says, if not given.")


def _sort(value: object) -> str | None:
    for shape, field in ((TensorValues, "data"), (FileInput, "file"), (ArtifactInput, "job")):
        if isinstance(value, shape) or (isinstance(value, dict) and field in value):
            return field
    return None


TensorInput = Annotated[
    Annotated[TensorValues, Tag("data")] | Annotated[FileInput, Tag("file")] | Annotated[ArtifactInput, Tag("job")],
    Discriminator(
        _sort,
        custom_error_type="not_a_tensor",
        custom_error_message='Give nested lists, {"data": lists, "dtype": name}, or an NPY file as {"file": id} or '
        '{"job": id, "artifact": name}.',
    ),
    BeforeValidator(_written_out),
    Field(description="Nested lists, or an NPY file: uploaded, or a job's artifact."),
]


class TensorPrediction(JobSpec):
    """A model and what it gets: tensors by the names of its inputs, or the rows of a table."""

    model: ModelRef
    file: ModelFileName | None = Field(
        default=None, description="Which of the model's files to run, where there are several: onnx/model.onnx."
    )
    inputs: dict[Name, TensorInput] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_TENSORS,
        description="Tensors by the names of the model's inputs. Give either these or a table.",
    )
    table: Input | None = Field(
        default=None,
        description="CSV (UTF-8, may be gzipped) with a header line, or Parquet; each row is predicted by itself.",
    )
    columns: dict[Name, list[Name]] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_TENSORS,
        description="Which of the table's columns make each of the model's inputs; by default the one of its name, or "
        "all of them for a model with one input.",
    )
    outputs: list[Name] | None = Field(
        default=None, min_length=1, max_length=MOST_TENSORS, description="The outputs that are wanted; all by default."
    )
    allow_nan: bool = Field(
        default=False, description="Whether inputs may be infinite or not a number, or missing in a table."
    )
    batch: Literal["auto", "never"] = Field(
        default="auto",
        description="auto: may be computed together with other jobs, and in pieces, where the model's results don't "
        "depend on it; never: alone and whole.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.inputs is None) == (self.table is None):
            raise ValueError("give either inputs or table")
        if self.columns is not None and self.table is None:
            raise ValueError("columns are those of a table; give inputs by their names")
        if self.outputs is not None and len(set(self.outputs)) != len(self.outputs):
            raise ValueError("outputs names one twice")
        return self


class TensorOutput(Frozen):
    """One output: written out where that is short, else in a file. What is not a number is null in ``data``."""

    dtype: str
    shape: list[int]
    data: JsonValue = None
    artifact: str | None = Field(default=None, description="Name of the artifact that has it, as NPY.")


class TensorPredictions(JobResult):
    """The model's outputs: for inputs each by its name, for a table a file with a row for each of its rows."""

    model: str = Field(description="The model that was used.")
    revision: str | None = Field(default=None, description="The commit, for a model of the hub.")
    outputs: dict[str, TensorOutput] = Field(default={})
    rows: int | None = Field(default=None, description="How many rows the table had.")
    artifacts: dict[str, list[str]] = Field(default={}, description="Names of the job's artifacts, by what they are.")
