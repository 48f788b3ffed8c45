"""What the kinds of Hugging Face refuse before a job is queued, and what of a spec is told apart."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.kinds.generate_text import GenerateText
from tasks.registry import load_kinds

KINDS = load_kinds()
FILE = {"file": "f"}


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("classify_text", {"texts": []}, "at least 1 item"),
        ("classify_text", {"texts": [""]}, "at least 1 character"),
        ("classify_text", {"texts": ["a"] * 1025}, "at most 1024 items"),
        ("classify_text", {"texts": ["a"], "top_k": 0}, "greater than or equal to 1"),
        ("classify_text", {"texts": ["a"], "max_length": 9}, "set truncation to true as well"),
        ("classify_text", {"texts": ["a"], "function_to_apply": "tanh"}, "'softmax', 'sigmoid' or 'none'"),
        ("classify_tokens", {"texts": ["a"], "aggregation_strategy": "some"}, "'none', 'simple'"),
        ("classify_zero_shot", {"sequences": ["a"], "candidate_labels": []}, "at least 1 item"),
        (
            "classify_zero_shot",
            {"sequences": ["a"], "candidate_labels": ["b"], "hypothesis_template": "It is so."},
            "has {} in it once",
        ),
        (
            "classify_zero_shot",
            {"sequences": ["a"], "candidate_labels": ["b"], "hypothesis_template": "{x.__class__} {}"},
            "no other braces",
        ),
        (
            "classify_zero_shot",
            {"sequences": ["a"] * 1024, "candidate_labels": ["b"] * 21},
            "21504 pairs of a text and a label are too many",
        ),
        ("fill_mask", {"texts": ["a"], "targets": []}, "at least 1 item"),
        ("answer_question", {"question": ["a", "b"], "context": ["c"]}, "2 questions and 1 contexts"),
        ("answer_question", {"question": "a", "context": ["b"]}, "repeat the question"),
        ("answer_question", {"question": "", "context": "b"}, "at least 1 character"),
        (
            "answer_question",
            {"question": "a", "context": "b", "doc_stride": 40, "max_seq_len": 40},
            "less than max_seq",
        ),
        ("summarize_text", {"texts": ["a"], "min_length": 9, "max_length": 8}, "min_length is more than max_length"),
        ("summarize_text", {"texts": ["a"], "temperature": 0}, "greater than 0"),
        ("summarize_text", {"texts": ["a"], "num_beams": 33}, "less than or equal to 32"),
        ("translate_text", {"texts": ["a"], "source": "en"}, "Extra inputs are not permitted"),
        ("generate_text", {"prompts": [[]]}, "at least 1 item"),
        ("generate_text", {"prompts": ["a"], "stream": True, "num_beams": 2}, "stream with num_beams 1"),
        ("generate_text", {"prompts": ["a"], "stream": True, "num_return_sequences": 2}, "leave out num_return_seq"),
        ("generate_text", {"prompts": [[{"role": "king", "content": "a"}]]}, "'system', 'user' or 'assistant'"),
        ("classify_audio", {"audio": [FILE] * 1025}, "at most 1024 items"),
        ("classify_image", {"images": ["https://example.org/a.png"]}, "FileInput"),
        ("transcribe_audio", {"audio": [FILE], "stride_length_s": 1}, "needs a chunk_length_s"),
        ("transcribe_audio", {"audio": [FILE], "chunk_length_s": 2, "stride_length_s": 1}, "less than chunk_length_s"),
        ("transcribe_audio", {"audio": [FILE], "return_timestamps": "line"}, "'char' or 'word'"),
    ],
)
def test_a_spec_that_can_not_be(kind: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KINDS[kind].spec.model_validate({"model": "m", **fields})


def test_a_job_may_have_1024_inputs() -> None:
    assert len(KINDS["classify_text"].spec.model_validate({"model": "m", "texts": ["a"] * 1024}).texts) == 1024


def test_whether_top_k_was_given_outlives_being_stored() -> None:
    spec = KINDS["classify_text"].spec
    for fields in ({"top_k": 1}, {"top_k": None}, {}):
        stored = spec.model_validate({"model": "m", "texts": ["a"], **fields}).model_dump(exclude_unset=True)
        assert ("top_k" in spec.model_validate(stored).model_fields_set) == bool(fields)


def test_only_what_was_given_is_handed_to_the_library() -> None:
    spec = GenerateText(model="m", prompts=["a"], max_new_tokens=3, early_stopping="never", seed=1, stream=True)
    assert spec.generation() == {"max_new_tokens": 3, "early_stopping": "never"}
