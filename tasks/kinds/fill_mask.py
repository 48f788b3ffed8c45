"""Fill the gaps in texts with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.filling import Fillings, MaskFilling
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class FillMask(MaskFilling):
    """Texts with gaps, and the model."""

    kind: Literal["fill_mask"] = "fill_mask"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=1), max_attempts=3, shared=True, fallback=True)
def run(spec: FillMask, job: JobContext, hf: HuggingFace) -> Fillings:
    return hf.fill_mask(spec, job)
