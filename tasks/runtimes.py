"""What a kind may ask of the library that computes it.

``runtime_name`` is the module under ``workers.runtimes`` whose ``create(settings)`` makes the real thing; tests pass
fakes.
"""

from typing import ClassVar, Protocol

from tasks.contracts import Document, JobContext
from tasks.embedding import TextEmbedding, TextEmbeddings
from tasks.huggingface.answering import Answers, QuestionAnswering
from tasks.huggingface.classes import (
    AudioClassification,
    ImageClassification,
    LabelLists,
    TextClasses,
    TextClassification,
    TokenClasses,
    TokenClassification,
    ZeroShotClasses,
    ZeroShotClassification,
)
from tasks.huggingface.filling import Fillings, MaskFilling
from tasks.huggingface.hearing import Transcription, Transcripts
from tasks.huggingface.writing import (
    GeneratedTexts,
    Summaries,
    Summarization,
    TextGeneration,
    TextTranslation,
    Translations,
)
from tasks.scoring import ScoringResult, TableScoring
from tasks.tabular import TableTraining, TrainingResult
from tasks.tensors import TensorPrediction, TensorPredictions


class H2OAutoML(Protocol):
    """Trainings on one H2O cluster, which several jobs may share: AutoML, grids, single models."""

    runtime_name: ClassVar[str] = "h2o_automl"

    def train(self, spec: TableTraining, job: JobContext) -> TrainingResult:
        """Train, test and explain; a later attempt of the same job goes on with what is still training in the cluster.

        Raises ``InvalidInput`` for data that can't be trained on, ``ClusterLost`` when the next attempt has to start
        anew, ``JobCancelled``, ``JobStoppedEmpty``, ``JobOutOfMemory``, ``UpstreamError``.
        """

    def clean_up(self, checkpoint: Document) -> None:
        """Remove from the cluster everything that the job of this checkpoint made there. Doing it twice is harmless."""


class TableScorer(Protocol):
    """Models kept as MOJOs, scored in the runner's own process; those used last stay loaded."""

    runtime_name: ClassVar[str] = "h2o_mojo"

    def score(self, spec: TableScoring, job: JobContext) -> ScoringResult:
        """Predict every row. Raises ``InvalidInput`` that names the column and row, ``JobCancelled``,
        ``JobOutOfMemory``."""


class HuggingFace(Protocol):
    """Models of the transformers library. Jobs share what is loaded, and batches.

    All of these raise ``InvalidInput`` that names the input, or the architecture of a model made for something else,
    ``ModelLoadFailed``, ``JobCancelled``, ``JobStoppedEmpty``, ``JobHandedBack``, ``JobOutOfMemory``.
    """

    runtime_name: ClassVar[str] = "huggingface"

    def embed(self, spec: TextEmbedding, job: JobContext) -> TextEmbeddings: ...

    def classify_text(self, spec: TextClassification, job: JobContext) -> TextClasses: ...

    def classify_tokens(self, spec: TokenClassification, job: JobContext) -> TokenClasses: ...

    def classify_zero_shot(self, spec: ZeroShotClassification, job: JobContext) -> ZeroShotClasses: ...

    def fill_mask(self, spec: MaskFilling, job: JobContext) -> Fillings: ...

    def answer_question(self, spec: QuestionAnswering, job: JobContext) -> Answers: ...

    def summarize_text(self, spec: Summarization, job: JobContext) -> Summaries: ...

    def translate_text(self, spec: TextTranslation, job: JobContext) -> Translations: ...

    def generate_text(self, spec: TextGeneration, job: JobContext) -> GeneratedTexts: ...

    def classify_audio(self, spec: AudioClassification, job: JobContext) -> LabelLists: ...

    def transcribe_audio(self, spec: Transcription, job: JobContext) -> Transcripts: ...

    def classify_image(self, spec: ImageClassification, job: JobContext) -> LabelLists: ...


class OnnxRuntime(Protocol):
    """ONNX models in Microsoft's runtime. Jobs share what is loaded, and batches."""

    runtime_name: ClassVar[str] = "onnx_runtime"

    def predict(self, spec: TensorPrediction, job: JobContext) -> TensorPredictions:
        """Raises ``InvalidInput`` that names the input and what the model wants, ``ModelLoadFailed``, ``JobCancelled``,
        ``JobStoppedEmpty``, ``JobHandedBack``, ``JobOutOfMemory``."""


class PyTorch(Protocol):
    """PyTorch programs (TorchScript, torch.export). Jobs share what is loaded, and batches."""

    runtime_name: ClassVar[str] = "pytorch"

    def predict(self, spec: TensorPrediction, job: JobContext) -> TensorPredictions:
        """As ``OnnxRuntime.predict``. Raises ``ModelLoadFailed`` for a program that is not from a trusted place."""
