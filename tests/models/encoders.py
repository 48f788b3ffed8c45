"""Encoders of the BERT family with each sort of head."""

from pathlib import Path

from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    PreTrainedModel,
)

from tests.models.weights import keep_with_seeded_weights
from tests.models.words import word_pieces

MOODS = ["negative", "neutral", "positive"]
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
INFERENCES = ["contradiction", "neutral", "entailment"]


def embedder(directory: Path) -> None:
    _make(directory, BertModel)


def masked(directory: Path) -> None:
    _make(directory, BertForMaskedLM)


def answerer(directory: Path) -> None:
    _make(directory, BertForQuestionAnswering)


def mood(directory: Path) -> None:
    _make(directory, BertForSequenceClassification, MOODS)


def topics(directory: Path) -> None:
    """Several labels at once may hold."""
    _make(directory, BertForSequenceClassification, MOODS, problem_type="multi_label_classification")


def rating(directory: Path) -> None:
    """A number instead of labels."""
    _make(directory, BertForSequenceClassification, ["rating"], problem_type="regression")


def entities(directory: Path) -> None:
    _make(directory, BertForTokenClassification, ENTITIES)


def inference(directory: Path) -> None:
    """Does one sentence follow from another? Zero-shot classification asks that."""
    _make(directory, BertForSequenceClassification, INFERENCES)


def _make(
    directory: Path, head: type[PreTrainedModel], labels: list[str] | None = None, problem_type: str | None = None
) -> None:
    size = word_pieces(directory)
    config = BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        **(
            {}
            if labels is None
            else {"id2label": dict(enumerate(labels)), "label2id": {x: i for i, x in enumerate(labels)}}
        ),
        **({} if problem_type is None else {"problem_type": problem_type}),
    )
    keep_with_seeded_weights(head(config), directory)
