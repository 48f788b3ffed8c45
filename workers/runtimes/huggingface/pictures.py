"""Classes of pictures."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from tasks.errors import InvalidInput
from tasks.huggingface.classes import ImageClassification, LabelLists
from workers.inference.batcher import Item
from workers.runtimes.huggingface.batches import Row, by_shape, padded
from workers.runtimes.huggingface.desk import Desk, Piece, joined

MOST_PIXELS = 64_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# Prepared pictures are large: so many at a time.
_AT_A_TIME = 64


def classify_image(spec: ImageClassification, desk: Desk) -> LabelLists:
    pipe = desk.equipped.pipe
    _, _, after = pipe._sanitize_parameters(top_k=spec.top_k, function_to_apply=spec.function_to_apply)
    answers: list[object] = []
    for first in range(0, len(spec.images), _AT_A_TIME):
        prepared = []
        for index, source in enumerate(spec.images[first : first + _AT_A_TIME], first):
            desk.look()
            picture = read_picture(desk.job.input_path(source), index)
            with desk.equipped.preparing:
                prepared.append([dict(pipe.preprocess(picture))])
        answers += [pipe.postprocess(piece, **after) for (piece,) in joined(prepared, lambda p: _classes(desk, p))]
    return LabelLists.model_validate({"outputs": answers})


def read_picture(path: Path, index: int) -> Image.Image:
    """Raises ``InvalidInput`` that names the picture by its place among the job's."""
    try:
        picture = Image.open(path, formats=_FORMATS)
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise Image.DecompressionBombError
        picture.load()
    except Image.DecompressionBombError as exc:
        most = MOST_PIXELS // 1_000_000
        raise InvalidInput(
            f"Picture {index} has too many pixels; {most} million can be read. Make it smaller."
        ) from exc
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as exc:
        kinds = "PNG, JPEG, WebP, GIF, BMP or TIFF"
        raise InvalidInput(f"Picture {index} can't be read; give a whole file of the sort {kinds}.") from exc
    return picture


def _classes(desk: Desk, pieces: Sequence[Piece]) -> Sequence[Piece]:
    network = desk.equipped.network

    def compute(rows: Sequence[Row]) -> Sequence[Piece]:
        batch = {name: tensor.to(network.device) for name, tensor in padded(rows, 0).items()}
        logits = network(**batch).logits.cpu()
        return [{"logits": logits[number : number + 1]} for number in range(len(rows))]

    return desk.compute("classes", [Item(piece) for piece in pieces], by_shape(compute))
