"""What models are used for: which architectures can do it, and what prepares their inputs."""

from dataclasses import dataclass
from typing import Any

import transformers
from transformers.models.auto import modeling_auto

from tasks.errors import InvalidInput


@dataclass(frozen=True)
class Purpose:
    """``families`` are the names of the library's mappings of model types to architectures, with the class that loads
    them; the first one that has the model's architecture counts."""

    name: str
    wanted: str
    families: tuple[tuple[str, Any], ...]
    pipeline: Any = None
    parts: tuple[str, ...] = ("tokenizer",)

    @property
    def held_as(self) -> str:
        """Purposes that need the same of a model share it."""
        return self.families[0][0] if self.pipeline is None else str(self.pipeline.__name__)

    def network_class(self, architectures: list[str] | None, model: str) -> Any:
        """What loads a model of these architectures. Raises ``InvalidInput`` for one that is made for something else:
        loaded all the same, it would answer from weights that nobody trained."""
        for mapping, network_class in self.families:
            known = _names(mapping)
            if not architectures or known & set(architectures):
                return network_class
        example = min(_names(self.families[0][0]), key=len)
        raise InvalidInput(
            f"The model {model} is a {' and '.join(architectures or [])}, which can't {self.wanted}; "
            f"choose one that was trained for it, such as a {example}."
        )


def _names(mapping: str) -> set[str]:
    names: set[str] = set()
    for value in getattr(modeling_auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES").values():
        names |= {value} if isinstance(value, str) else set(value)
    return names


_CLASSES = ("SEQUENCE_CLASSIFICATION", transformers.AutoModelForSequenceClassification)
_FROM_TEXT_TO_TEXT = ("SEQ_TO_SEQ_CAUSAL_LM", transformers.AutoModelForSeq2SeqLM)

CLASSIFY_TEXT = Purpose("classify_text", "classify texts", (_CLASSES,), transformers.TextClassificationPipeline)
CLASSIFY_ZERO_SHOT = Purpose(
    "classify_zero_shot",
    "classify texts by labels of your own",
    (_CLASSES,),
    transformers.ZeroShotClassificationPipeline,
)
CLASSIFY_TOKENS = Purpose(
    "classify_tokens",
    "classify tokens",
    (("TOKEN_CLASSIFICATION", transformers.AutoModelForTokenClassification),),
    transformers.TokenClassificationPipeline,
)
FILL_MASK = Purpose(
    "fill_mask", "fill masks", (("MASKED_LM", transformers.AutoModelForMaskedLM),), transformers.FillMaskPipeline
)
ANSWER_QUESTION = Purpose(
    "answer_question", "answer questions", (("QUESTION_ANSWERING", transformers.AutoModelForQuestionAnswering),)
)
SUMMARIZE_TEXT = Purpose("summarize_text", "summarize texts", (_FROM_TEXT_TO_TEXT,))
TRANSLATE_TEXT = Purpose("translate_text", "translate texts", (_FROM_TEXT_TO_TEXT,))
GENERATE_TEXT = Purpose(
    "generate_text",
    "generate texts",
    (("CAUSAL_LM", transformers.AutoModelForCausalLM), _FROM_TEXT_TO_TEXT),
    transformers.TextGenerationPipeline,
)
CLASSIFY_AUDIO = Purpose(
    "classify_audio",
    "classify sounds",
    (("AUDIO_CLASSIFICATION", transformers.AutoModelForAudioClassification),),
    transformers.AudioClassificationPipeline,
    ("feature_extractor",),
)
TRANSCRIBE_AUDIO = Purpose(
    "transcribe_audio",
    "transcribe speech",
    (("CTC", transformers.AutoModelForCTC), ("SPEECH_SEQ_2_SEQ", transformers.AutoModelForSpeechSeq2Seq)),
    transformers.AutomaticSpeechRecognitionPipeline,
    ("tokenizer", "feature_extractor"),
)
CLASSIFY_IMAGE = Purpose(
    "classify_image",
    "classify pictures",
    (("IMAGE_CLASSIFICATION", transformers.AutoModelForImageClassification),),
    transformers.ImageClassificationPipeline,
    ("image_processor",),
)
