"""The vectors that the library gives by itself, of each text alone: no batch, no padding, nobody beside it.

``python -m bench.chaos.raw_vectors`` reads a JSON list of texts and prints the first numbers of each one's vector.
"""

import json
import sys

import torch
from transformers import AutoModel, AutoTokenizer

from bench.chaos.kinds.embed_in_ledger import NUMBERS
from bench.inference_parts.texts import MODEL


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL, local_files_only=True)
    # A single text is too little for more.
    torch.set_num_threads(1)
    network = AutoModel.from_pretrained(MODEL, local_files_only=True).eval()

    def vector(text: str) -> list[float]:
        with torch.inference_mode():
            hidden = network(**tokenizer(text, return_tensors="pt")).last_hidden_state
            mean = torch.nn.functional.normalize(hidden.mean(1))[0]
        numbers: list[float] = mean[:NUMBERS].tolist()
        return numbers

    print(json.dumps([vector(text) for text in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
