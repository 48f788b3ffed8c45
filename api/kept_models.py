"""Which models of a training can still be used, as its result tells it."""

from collections.abc import Mapping

from db.rows import JobRow

_SHOWN = 10


def kept_models(job: JobRow | None) -> Mapping[str, str]:
    """The artifacts of the models that the job kept, by the models' ids; none before its end."""
    kept = (job.result or {}).get("kept_models") if job is not None else None
    return kept if isinstance(kept, dict) else {}


def shown(kept: Mapping[str, str]) -> str:
    """Their ids, as far as a sentence can hold them."""
    ids = list(kept)
    return ", ".join(ids[:_SHOWN]) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")
