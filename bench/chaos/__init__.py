"""Is anything lost, or done twice? A stream of jobs, faults on every part, and a ledger that only the jobs and the
submitter write. ``python -P -m bench.chaos --help``."""
