"""LitServe as its documentation shows it, with its own batching.

``python -m bench.inference_parts.litserve_app PORT BATCH WAIT_SECONDS WORKERS THREADS``.
"""

import sys

import litserve
import torch

from bench.inference_parts.raw import Encoder


class Embedding(litserve.LitAPI):
    """One text a request; LitServe gathers them into a list."""

    def __init__(self, batch: int, wait_seconds: float, threads: int) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=wait_seconds)
        self._threads = threads

    def setup(self, _device: str) -> None:
        torch.set_num_threads(self._threads)
        self._encoder = Encoder()

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, given: list[str]) -> list[list[float]]:
        return self._encoder.embed(self._encoder.tokenize(given))

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        return {"vector": output}


def main(port: int, batch: int, wait_seconds: float, workers: int, threads: int) -> None:
    api = Embedding(batch, wait_seconds, threads)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=workers, timeout=False)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
