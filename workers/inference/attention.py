"""Heeding a job's cancel, stop or hand-back in the slow steps before it computes."""

from tasks.contracts import JobContext
from tasks.errors import JobCancelled, JobHandedBack, JobStoppedEmpty

_PAUSE_SECONDS = 0.1


class Attention:
    """Looks at one job."""

    def __init__(self, job: JobContext) -> None:
        self._job = job

    def look(self) -> None:
        """Raises ``JobCancelled``, ``JobStoppedEmpty`` or ``JobHandedBack`` when the job is to end."""
        match self._job.should_stop():
            case "cancel":
                raise JobCancelled("The job was cancelled.")
            case "stop":
                raise JobStoppedEmpty("The job was stopped before its model was there.")
        if self._job.should_hand_back():
            raise JobHandedBack("The worker is about to end.")

    def pause(self) -> None:
        """Wait a moment, and look."""
        self._job.wait(_PAUSE_SECONDS)
        self.look()
