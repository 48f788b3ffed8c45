"""What the pipelines are asked: a model, inputs and parameters under the library's own names, by kind.

Sounds and pictures are written as what they are made from, ``[seed, seconds]`` and ``[seed, width, height, mode]``.
"""

from dataclasses import dataclass, field
from typing import Any

CALM = "the cat sat on the mat and looked at the small red bird in the old garden ."
TRAVEL = "a train leaves the station at seven in the morning , runs along the river and reaches the city before noon ."
PEOPLE = "Anna lives in Berlin and works for a bank; her brother Tom moved to Paris last year."
SUMMER = "Summer rain falls on the green hills, and the farmers bring in the hay."
LONG = " ".join([TRAVEL, PEOPLE, SUMMER, CALM, TRAVEL, CALM, PEOPLE])
FOUR = [CALM, TRAVEL, PEOPLE, SUMMER]


@dataclass(frozen=True)
class Case:
    """``task`` is the pipeline's name in 4.57; ``call`` holds what it is called with beside the inputs."""

    task: str
    model: str
    inputs: Any
    call: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None


def _classify_text() -> list[Case]:
    task = "text-classification"
    calls: list[dict[str, Any]] = [
        {},
        {"top_k": 1},
        {"top_k": 2},
        {"top_k": 99},
        {"top_k": None},
        {"function_to_apply": "sigmoid"},
        {"function_to_apply": "none", "top_k": None},
        {"function_to_apply": "softmax"},
    ]
    cases = [Case(task, model, FOUR, call) for model in ("mood", "topics", "rating") for call in calls]
    pairs = [{"text": CALM, "text_pair": SUMMER}, {"text": PEOPLE, "text_pair": "who ?"}]
    return [
        *cases,
        Case(task, "mood", [CALM]),
        Case(task, "mood", pairs, {"top_k": None}),
        Case(task, "mood", [LONG, CALM], {"truncation": True}),
        Case(task, "mood", [LONG, CALM], {"truncation": True, "max_length": 16}),
    ]


def _classify_tokens() -> list[Case]:
    task = "token-classification"
    calls: list[dict[str, Any]] = [{}] + [
        {"aggregation_strategy": strategy} for strategy in ("none", "simple", "first", "average", "max")
    ]
    calls += [{"ignore_labels": []}, {"ignore_labels": ["B-PER", "LOC"], "aggregation_strategy": "simple"}]
    return [
        *(Case(task, "entities", [*FOUR, "x", "Anna-Lena üß, 42!"], call) for call in calls),
        Case(task, "entities", [LONG, PEOPLE]),
        *(
            Case(task, "entities", [LONG, PEOPLE], {"aggregation_strategy": strategy, "stride": stride})
            for strategy, stride in (("simple", 8), ("first", 0), ("average", 20), ("max", 8))
        ),
    ]


def _classify_zero_shot() -> list[Case]:
    task = "zero-shot-classification"
    labels = ["summer", "train", "cat", "people"]
    calls: list[dict[str, Any]] = [
        {},
        {"multi_label": True},
        {"hypothesis_template": "this is for {} ."},
        {"hypothesis_template": "was it {} ?", "multi_label": True},
    ]
    return [
        *(Case(task, "inference", FOUR, {"candidate_labels": labels, **call}) for call in calls),
        Case(task, "inference", [CALM], {"candidate_labels": ["cat"]}),
        Case(task, "inference", [LONG], {"candidate_labels": labels}),
    ]


def _fill_mask() -> list[Case]:
    task = "fill-mask"
    one = ["the [MASK] sat on the mat .", "Anna lives in [MASK] and works for a bank ."]
    two = ["the [MASK] sat on the [MASK] .", "[MASK] rain falls"]
    return [
        Case(task, "masked", one),
        Case(task, "masked", one, {"top_k": 2}),
        Case(task, "masked", two, {"top_k": 3}),
        Case(task, "masked", one, {"targets": ["cat", "berlin", "bird"]}),
        Case(task, "masked", two, {"targets": ["cat", "catalonia"], "top_k": 1}),
        Case(task, "masked", [f"the [MASK] {LONG}"], {"tokenizer_kwargs": {"truncation": True}}),
    ]


def _answer_question() -> list[Case]:
    task = "question-answering"
    questions = ["who lives in berlin ?", "where does the cat sit ?", "when does the train leave ?"]
    contexts = [PEOPLE, CALM, TRAVEL]
    calls: list[dict[str, Any]] = [
        {},
        {"top_k": 1},
        {"top_k": 3},
        {"topk": 2},
        {"max_answer_len": 2},
        {"max_answer_len": 1, "top_k": 4},
        {"handle_impossible_answer": True},
        {"handle_impossible_answer": True, "top_k": 5},
        {"align_to_words": False},
        {"align_to_words": False, "top_k": 4},
        {"padding": "max_length", "max_seq_len": 48},
    ]
    long_calls: list[dict[str, Any]] = [
        {},
        {"doc_stride": 8},
        {"max_seq_len": 48},
        {"max_seq_len": 36, "doc_stride": 10, "top_k": 5},
        {"max_seq_len": 40, "doc_stride": 20, "top_k": 3, "handle_impossible_answer": True},
        {"max_seq_len": 40, "doc_stride": 4, "max_answer_len": 30, "top_k": 6, "align_to_words": False},
    ]
    odd = "Tom's  brother,\n(42) über\tcatalogue: mattress?"
    return [
        *(Case(task, "answerer", {"question": questions, "context": contexts}, call) for call in calls),
        *(Case(task, "answerer", {"question": questions, "context": [LONG] * 3}, call) for call in long_calls),
        Case(task, "answerer", {"question": questions[0], "context": PEOPLE}, {"top_k": 2}),
        Case(task, "answerer", {"question": questions, "context": LONG}, {"top_k": 2}),
        Case(task, "answerer", {"question": ["what?", "Who?"], "context": [odd, "x"]}, {"top_k": 3}),
    ]


def _summarize_text() -> list[Case]:
    task = "summarization"
    # 4.57 would let its own default of max_new_tokens overrule a max_length; version 5 no longer does.
    honoured = {"max_new_tokens": None}
    calls: list[dict[str, Any]] = [
        {},
        {"min_length": 5, "max_length": 12, **honoured},
        {"max_new_tokens": 7},
        {"min_new_tokens": 6, "max_new_tokens": 9},
        {"num_beams": 1},
        {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True},
        {"no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
        {"num_beams": 3, "num_return_sequences": 2},
        {"clean_up_tokenization_spaces": True},
        {"do_sample": False, "num_beams": 1, "max_length": 30, **honoured},
    ]
    return [
        *(Case(task, model, FOUR, call) for model in ("summarizer", "prefixed") for call in calls),
        Case(task, "summarizer", [LONG], {"truncation": True}),
        Case(task, "summarizer", [CALM]),
        Case(task, "summarizer", [CALM], {"do_sample": True, "num_beams": 1, "top_k": 20, "temperature": 1.5}, seed=7),
    ]


def _translate_text() -> list[Case]:
    french = {"src_lang": "en_XX", "tgt_lang": "fr_XX"}
    german = {"src_lang": "fr_XX", "tgt_lang": "de_DE"}
    return [
        Case("translation", "multilingual", FOUR, {**french, "max_new_tokens": 12}),
        Case("translation", "multilingual", FOUR, {**german, "max_new_tokens": 12, "num_beams": 1}),
        Case(
            "translation", "multilingual", [CALM], {**german, "max_length": 9, "min_length": 4, "max_new_tokens": None}
        ),
        Case("translation", "multilingual", [LONG], {**french, "max_new_tokens": 8, "truncation": True}),
        Case("translation", "prefixed", FOUR, {"max_new_tokens": 10}),
        Case("translation", "prefixed", FOUR, {"max_new_tokens": 10, "clean_up_tokenization_spaces": True}),
        Case("translation_en_to_fr", "prefixed", FOUR),
        Case("translation_en_to_fr", "prefixed", FOUR, {"max_length": 8, "num_beams": 2, "max_new_tokens": None}),
        Case("translation_fr_to_en", "prefixed", FOUR, {"max_new_tokens": 6}),
    ]


def _generate_text() -> list[Case]:
    greedy = {"do_sample": False, "max_new_tokens": 12}
    prompts = ["the cat", "a train leaves the station at", "who", PEOPLE]
    calls: list[dict[str, Any]] = [
        {},
        {"return_full_text": False},
        {"num_beams": 3},
        {"num_beams": 4, "num_return_sequences": 3, "return_full_text": False},
        {"repetition_penalty": 1.5},
        {"no_repeat_ngram_size": 2},
        {"min_new_tokens": 12},
        {"prefix": "good : "},
        {"clean_up_tokenization_spaces": True},
    ]
    chats = [
        [{"role": "user", "content": "who sat on the mat ?"}],
        [
            {"role": "system", "content": "it is summer ."},
            {"role": "user", "content": "where ?"},
            {"role": "assistant", "content": "in the"},
        ],
    ]
    sampled = {"do_sample": True, "max_new_tokens": 8, "temperature": 1.2, "top_k": 40, "top_p": 0.9}
    return [
        *(Case("text-generation", "continuer", prompts, {**greedy, **call}) for call in calls),
        Case(
            "text-generation", "continuer", ["the cat"], {"do_sample": False, "max_length": 9, "max_new_tokens": None}
        ),
        Case("text-generation", "continuer", chats, greedy),
        Case("text-generation", "continuer", chats, {**greedy, "return_full_text": False}),
        Case("text-generation", "continuer", ["the cat", "the cat"], sampled, seed=3),
        Case("text-generation", "continuer", ["who was"], {**sampled, "num_return_sequences": 2}, seed=4),
        Case("text2text-generation", "prefixed", FOUR, {"max_new_tokens": 9}),
        Case("text2text-generation", "prefixed", FOUR, {"max_new_tokens": 9, "num_beams": 1}),
        Case("text2text-generation", "summarizer", FOUR, {"num_return_sequences": 2}),
    ]


def _embed_text() -> list[Case]:
    return [
        Case("feature-extraction", "embedder", [CALM, "x", SUMMER]),
        Case("feature-extraction", "embedder", [LONG], {"truncation": True}),
    ]


def _classify_audio() -> list[Case]:
    sounds = [[1, 1.0], [2, 0.7], [3, 1.0], [4, 2.5]]
    calls: list[dict[str, Any]] = [
        {},
        {"top_k": 2},
        {"top_k": None},
        {"function_to_apply": "sigmoid"},
        {"function_to_apply": "none", "top_k": 1},
        {"function_to_apply": "softmax"},
    ]
    return [Case("audio-classification", "listener", sounds, call) for call in calls]


def _transcribe_audio() -> list[Case]:
    task = "automatic-speech-recognition"
    sounds = [[1, 1.0], [2, 0.7], [4, 2.5]]
    spelled: list[dict[str, Any]] = [
        {},
        {"return_timestamps": "char"},
        {"return_timestamps": "word"},
        {"chunk_length_s": 1},
        {"chunk_length_s": 1, "stride_length_s": 0.1, "return_timestamps": "word"},
        {"chunk_length_s": 0.8, "stride_length_s": [0.2, 0.1], "return_timestamps": "char"},
    ]
    # Whisper's own limit counts its first tokens in 4.57, and no longer in version 5.
    brief = {"max_new_tokens": 16}
    written: list[dict[str, Any]] = [
        {"generate_kwargs": brief},
        {"generate_kwargs": brief, "return_timestamps": True},
        {"generate_kwargs": brief, "return_timestamps": "word"},
        {"generate_kwargs": {**brief, "language": "de", "task": "translate"}},
        {"generate_kwargs": {**brief, "num_beams": 1}},
        {"generate_kwargs": brief, "chunk_length_s": 2, "return_timestamps": True},
        {"generate_kwargs": brief, "chunk_length_s": 1.5, "stride_length_s": 0.25},
    ]
    short = [[1, 1.0], [2, 0.7], [5, 2.0]]
    return [
        *(Case(task, "speller", sounds, call) for call in spelled),
        *(Case(task, "transcriber", short, call) for call in written),
        *(
            Case(task, "transcriber", [[6, 5.0]], {"generate_kwargs": brief, "return_timestamps": True, **call})
            for call in ({}, {"chunk_length_s": 2})
        ),
    ]


def _classify_image() -> list[Case]:
    pictures = [[1, 40, 30, "RGB"], [2, 32, 32, "L"], [3, 100, 20, "RGBA"], [4, 33, 77, "P"], [5, 16, 16, "1"]]
    calls: list[dict[str, Any]] = [
        {},
        {"top_k": 1},
        {"top_k": 99},
        {"function_to_apply": "sigmoid"},
        {"function_to_apply": "none", "top_k": 2},
        {"function_to_apply": "softmax"},
    ]
    return [Case("image-classification", "looker", pictures, call) for call in calls]


CASES = {
    "answer_question": _answer_question(),
    "classify_audio": _classify_audio(),
    "classify_image": _classify_image(),
    "classify_text": _classify_text(),
    "classify_tokens": _classify_tokens(),
    "classify_zero_shot": _classify_zero_shot(),
    "embed_text": _embed_text(),
    "fill_mask": _fill_mask(),
    "generate_text": _generate_text(),
    "summarize_text": _summarize_text(),
    "transcribe_audio": _transcribe_audio(),
    "translate_text": _translate_text(),
}
