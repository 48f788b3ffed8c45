"""How far a training is: the share of its models or of its time, whichever limit is nearer, and when it should end."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """``fraction`` is None while there is nothing to measure it by."""

    fraction: float | None
    message: str
    eta_seconds: float | None


def measure(
    *,
    models: int,
    max_models: int,
    elapsed_seconds: float,
    budget_seconds: float,
    now_training: str | None,
    share: float | None = None,
) -> Progress:
    """Progress of a training; ``max_models`` and ``budget_seconds`` are 0 where there is no such limit. ``share`` is
    how far the one model is, where there is no other.

    ETA by models assumes that the next ones take as long as those so far, so it is only given from the second on.
    """
    shares: list[float] = []
    etas: list[float] = []
    parts: list[str] = []
    if share is not None:
        shares.append(share)
        parts.append(f"{share:.0%} of the model trained")
        if share > 0:
            etas.append(elapsed_seconds / share * (1 - share))
    elif max_models:
        done = min(models, max_models)
        shares.append(done / max_models)
        parts.append(f"{done} of {max_models} models trained")
        if done >= 2:
            etas.append(elapsed_seconds / done * (max_models - done))
    else:
        parts.append(f"{models} models trained")
    if budget_seconds:
        shares.append(min(elapsed_seconds / budget_seconds, 1.0))
        parts.append(f"{min(elapsed_seconds, budget_seconds):.0f} of at most {budget_seconds:.0f} s used")
        etas.append(max(budget_seconds - elapsed_seconds, 0.0))
    if now_training:
        parts.append(f"now {now_training}")
    return Progress(max(shares, default=None), "; ".join(parts), min(etas, default=None))
