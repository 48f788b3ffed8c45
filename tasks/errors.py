"""How a job fails, as a typed tree.

Each class has a stable ``code`` (one of the reasons that ``db.states.Reason`` lists) and says whether another attempt
could end better. A runtime translates its library's errors into these at its own edge, with ``raise … from exc``.
"""

from datetime import timedelta


class JobError(Exception):
    """Something went wrong inside a job; the message is shown to its owner and says what to do next."""

    code = "internal_error"
    retryable = False


class PermanentJobError(JobError):
    """Another attempt would end the same way."""


class InvalidInput(PermanentJobError):
    """The spec or the data it names can't be used; the message names the column, row or field."""

    code = "invalid_input"


class ModelLoadFailed(PermanentJobError):
    """The model can't be loaded, or must not be; the message names the file and the reason."""

    code = "model_load_failed"


class RetryableJobError(JobError):
    """Another attempt may succeed; ``retry_after`` is how long to wait before it, if the cause says so."""

    retryable = True

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ClusterLost(RetryableJobError):
    """The cluster that the job computed on went away, and its work with it."""

    code = "cluster_lost"


class UpstreamError(RetryableJobError):
    """A service that the job depends on answered with an error or not at all."""

    code = "upstream_error"


class UpstreamUnfit(PermanentJobError):
    """A service that the job depends on is one that Turnout can't work with."""

    code = "upstream_error"


class StorageError(RetryableJobError):
    """An artifact or a file could not be read or written."""

    code = "storage_error"


class JobOutOfMemory(PermanentJobError):
    """The job needs more memory than its hardware has."""

    code = "out_of_memory"


class MemoryShort(RetryableJobError):
    """The job got no more memory where it ran. Counts like the loss of its runner, which it might have been as well."""

    code = "out_of_memory"


class JobCancelled(JobError):
    """The job noticed that its cancellation was requested, and ended."""

    code = "cancelled_by_user"


class JobHandedBack(JobError):
    """The job noticed that its worker is about to end, and left the rest to another attempt."""


class JobStoppedEmpty(JobError):
    """The job was asked to end early and keep its best so far, but has nothing to keep yet."""

    code = "stopped_by_user"
