"""Runs programs that turn tensors into tensors: what is common to ONNX and PyTorch.

Jobs whose inputs differ in the number of rows alone may be computed together, put one after the other along the first
axis. That this axis may vary does not say that rows are independent: it may be time, and a model may compare rows. So
it is proved with the first job that has several rows, or the first ones that come together: they are computed both
ways, and only a program that gave the same is given several jobs' rows from then on. A job with many of them is then
computed in pieces, which lets others in between, and suits a processor's caches.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tasks.contracts import JobContext
from tasks.errors import InvalidInput, JobError
from tasks.tensors import TensorPrediction, TensorPredictions
from workers.inference.batcher import Group, Item
from workers.inference.model_source import ModelFolder
from workers.inference.signature import Signature
from workers.inference.tensor_outputs import inline_or_kept
from workers.inference.tensor_table import ROWS_AT_ONCE, TensorColumns, TensorTable
from workers.inference.tensors import Array, read_inputs
from workers.inference.workbench import Workbench

Tensors = Mapping[str, Array]

_MOST_ROWS = {"cpu": 32, "cuda": 1024}
_NEAR_RELATIVE, _NEAR_ABSOLUTE = 1e-3, 1e-5
# By how much of the largest number an output has to differ between rows.
_TELLING_SPREAD = 0.01
PREDICTIONS = "predictions.parquet"
PARQUET = "application/vnd.apache.parquet"


class Program(Protocol):
    """A loaded model. ``run`` computes in the device's thread."""

    @property
    def signature(self) -> Signature: ...

    @property
    def keeps_state(self) -> bool:
        """Whether it changes as it runs, so that jobs can't share a run."""

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> dict[str, Array]:
        """The outputs of these names, or all of a program that doesn't name them before. Raises ``InvalidInput`` for
        what it can't compute, ``DeviceOutOfMemory``, ``DeviceLost``."""


@dataclass(eq=False)
class Loaded:
    """A program and what it takes. ``proofs`` says of outputs that are asked for together whether rows are independent;
    who isn't in it was not tried."""

    program: Program
    size_bytes: int
    proofs: dict[tuple[str, ...], bool] = field(default_factory=dict)


class Prediction:
    """One job's prediction with a loaded program."""

    def __init__(
        self, workbench: Workbench, loaded: Loaded, folder: ModelFolder, spec: TensorPrediction, job: JobContext
    ) -> None:
        self._workbench = workbench
        self._loaded = loaded
        self._folder = folder
        self._spec = spec
        self._job = job
        self._outputs = loaded.program.signature.wanted(spec.outputs)

    def make(self) -> TensorPredictions:
        """Raises as ``tasks.runtimes.OnnxRuntime.predict``."""
        model, revision = self._folder.name, self._folder.revision
        if self._spec.inputs is not None:
            signature = self._loaded.program.signature
            inputs = read_inputs(self._spec.inputs, signature, self._job, allow_nan=self._spec.allow_nan)
            outputs, artifacts = inline_or_kept(self._compute(inputs), self._job)
            return TensorPredictions(model=model, revision=revision, outputs=outputs, artifacts=artifacts)
        rows = self._predict_table()
        artifacts = {"predictions": [PREDICTIONS]}
        return TensorPredictions(model=model, revision=revision, rows=rows, artifacts=artifacts)

    def _predict_table(self) -> int:
        if self._spec.table is None:
            raise InvalidInput("There are neither inputs nor a table.")
        signature = self._loaded.program.signature
        rows_at_once = signature.fixed_rows or ROWS_AT_ONCE
        table = TensorTable(self._job.input_path(self._spec.table), signature, self._spec.columns, rows_at_once)
        target = self._job.scratch / PREDICTIONS
        rows = 0
        with closing(TensorColumns(target)) as columns:
            for inputs, first, share in table.parts(allow_nan=self._spec.allow_nan):
                count = len(next(iter(inputs.values())))
                columns.write(self._compute(inputs), count)
                rows = first + count
                self._job.progress(share, f"{rows} rows predicted.")
        if not rows:
            raise InvalidInput("The table has a header but no rows.")
        self._job.save_artifact(PREDICTIONS, target, PARQUET)
        return rows

    def _compute(self, inputs: Tensors) -> dict[str, Array]:
        rows = _rows_of(inputs)
        shared = self._may_share(rows)
        most = _MOST_ROWS[self._workbench.device]
        shape = tuple(
            (name, array.dtype.str, array.shape[1:] if shared else ()) for name, array in sorted(inputs.items())
        )
        # What can't share a batch is a batch of one.
        group = Group(
            ("tensors", self._folder.identity, shape, self._outputs, shared),
            token_budget=most if shared else 1,
            most_items=most if shared else 1,
        )
        pieces: Sequence[Tensors] = [inputs]
        if shared and rows > most and self._loaded.proofs.get(self._outputs):
            pieces = [_rows(inputs, first, first + most) for first in range(0, rows, most)]
        items = [Item(piece, _rows_of(piece) if shared else 1) for piece in pieces]
        compute = _computing(self._loaded, self._outputs, shared=shared)
        try:
            computed = self._workbench.batcher.run(self._job, group, items, compute)
        except InvalidInput:
            if len(pieces) == 1:
                raise
            return self._compute_whole(inputs)
        if len(pieces) == 1:
            return computed[0]
        joined = _joined(pieces, computed)
        return self._compute_whole(inputs) if joined is None else joined

    def _compute_whole(self, inputs: Tensors) -> dict[str, Array]:
        """Where the pieces failed or don't fit together. If it can be done whole, rows are not independent after all;
        who can't be computed either way proves nothing."""
        items = [Item(dict(inputs))]
        group = Group(("tensors whole", self._folder.identity, self._outputs), token_budget=1, most_items=1)
        compute = _computing(self._loaded, self._outputs, shared=False)
        (computed,) = self._workbench.batcher.run(self._job, group, items, compute)
        self._loaded.proofs[self._outputs] = False
        return computed

    def _may_share(self, rows: int) -> bool:
        program = self._loaded.program
        if self._spec.batch == "never" or not rows or program.keeps_state:
            return False
        return program.signature.has_rows(self._outputs) and self._loaded.proofs.get(self._outputs, True)


def _rows_of(inputs: Tensors) -> int:
    """The length that all have along the first axis; 0 if they don't have one."""
    lengths = {len(array) if array.ndim else 0 for array in inputs.values()}
    return lengths.pop() if len(lengths) == 1 else 0


def _rows(tensors: Tensors, first: int, end: int) -> dict[str, Array]:
    return {name: array[first:end] for name, array in tensors.items()}


def _joined(inputs: Sequence[Tensors], computed: Sequence[Tensors]) -> dict[str, Array] | None:
    """The outputs of all pieces; None if these are not as long as the pieces, or don't fit together."""
    pairs = list(zip(inputs, computed, strict=True))
    if any(not array.ndim or len(array) != _rows_of(piece) for piece, parts in pairs for array in parts.values()):
        return None
    if any(array.shape[1:] != computed[0][name].shape[1:] for parts in computed for name, array in parts.items()):
        return None
    return {name: np.concatenate([parts[name] for parts in computed]) for name in computed[0]}


def _computing(
    loaded: Loaded, outputs: tuple[str, ...], *, shared: bool
) -> Callable[[Sequence[Tensors]], Sequence[dict[str, Array]]]:
    """What the batcher calls with the inputs of some jobs."""

    def compute(values: Sequence[Tensors]) -> Sequence[dict[str, Array]]:
        if len(values) == 1:
            computed = loaded.program.run(values[0], outputs)
            if shared and outputs not in loaded.proofs:
                _prove_with(loaded, outputs, values[0], computed)
            return [computed]
        if loaded.proofs.get(outputs, True):
            together = _together(loaded, outputs, values)
            if together is not None:
                return together
        return [loaded.program.run(value, outputs) for value in values]

    return compute


def _prove_with(loaded: Loaded, outputs: tuple[str, ...], inputs: Tensors, computed: Tensors) -> None:
    """Find out from one job's rows whether they are independent, if they can tell."""
    rows = _rows_of(inputs)
    half = rows // 2
    if not half or _equal(_rows(inputs, 0, half), _rows(inputs, half, 2 * half)):
        return
    if any(not array.ndim or len(array) != rows for array in computed.values()):
        loaded.proofs[outputs] = False
        return
    try:
        agrees = all(
            _near(loaded.program.run(_rows(inputs, first, end), outputs), _rows(computed, first, end))
            for first, end in ((0, half), (half, rows))
        )
    except JobError:
        agrees = False
    _note(loaded, outputs, _verdict(computed, agrees=agrees))


def _together(loaded: Loaded, outputs: tuple[str, ...], values: Sequence[Tensors]) -> Sequence[dict[str, Array]] | None:
    """Everybody's outputs of one run; None if they have to be computed apart."""
    rows = [_rows_of(value) for value in values]
    joined = {name: np.concatenate([value[name] for value in values]) for name in values[0]}
    proved = loaded.proofs.get(outputs, False)
    try:
        computed = loaded.program.run(joined, outputs)
    except JobError:
        if proved:
            # Someone's values are bad; the batcher finds out whose.
            raise
        apart = [loaded.program.run(value, outputs) for value in values]
        loaded.proofs[outputs] = False
        return apart
    if any(not array.ndim or len(array) != sum(rows) for array in computed.values()):
        loaded.proofs[outputs] = False
        return None
    ends = np.cumsum(rows)
    parts = [
        {name: array[end - count : end] for name, array in computed.items()}
        for end, count in zip(ends, rows, strict=True)
    ]
    if not proved:
        if all(_equal(value, values[0]) for value in values[1:]):
            # Equal rows prove nothing about whether they look at each other.
            return None
        agrees = _near(loaded.program.run(values[0], outputs), parts[0])
        _note(loaded, outputs, _verdict(computed, agrees=agrees))
        if not loaded.proofs.get(outputs):
            return None
    return parts


def _note(loaded: Loaded, outputs: tuple[str, ...], verdict: bool | None) -> None:
    if verdict is not None:
        loaded.proofs[outputs] = verdict


def _verdict(computed: Tensors, *, agrees: bool) -> bool | None:
    """Whether rows are independent, if that can be told from outputs that agree. Classes may agree by chance, so no one
    may share who asks for them alone; and so may numbers that are about the same anyhow: others will tell."""
    floats = [np.nan_to_num(array.astype(np.float64)) for array in computed.values() if array.dtype.kind == "f"]
    if not agrees or not floats:
        return False
    spreads = [np.ptp(array, axis=0).max() / (np.abs(array).max() or 1) for array in floats if array.size]
    return True if any(spread > _TELLING_SPREAD for spread in spreads) else None


def _equal(one: Tensors, other: Tensors) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def _near(alone: Tensors, among_others: Tensors) -> bool:
    for name, array in alone.items():
        other = among_others[name]
        if array.shape != other.shape or array.dtype != other.dtype:
            return False
        if array.dtype.kind == "f":
            if not np.allclose(array, other, rtol=_NEAR_RELATIVE, atol=_NEAR_ABSOLUTE, equal_nan=True):
                return False
        elif not np.array_equal(array, other):
            return False
    return True
