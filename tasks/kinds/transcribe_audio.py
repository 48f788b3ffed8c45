"""Write down what is said in sound files, with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.hearing import Transcription, Transcripts
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class TranscribeAudio(Transcription):
    """Sounds, and the model."""

    kind: Literal["transcribe_audio"] = "transcribe_audio"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=12), max_attempts=3, shared=True, fallback=True)
def run(spec: TranscribeAudio, job: JobContext, hf: HuggingFace) -> Transcripts:
    return hf.transcribe_audio(spec, job)
