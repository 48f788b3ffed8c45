"""What becomes of a process when one of its threads breaks."""

import os
import sys
import threading

import structlog

log = structlog.get_logger()


def end_with_any_thread() -> None:
    """End the process when one of its threads breaks, for it must not go on without: a worker that renews no lease, a
    Flower that hears no events. A new one takes its place."""

    def broken(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.error("thread_broke", thread=args.thread and args.thread.name, exc_info=args.exc_value)
            sys.stderr.flush()
            os._exit(os.EX_SOFTWARE)

    threading.excepthook = broken
