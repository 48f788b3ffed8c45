"""Following a job on the screen: progress, and the leaderboard growing under it. Plain lines without a screen."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from turnout.cli.leaderboards import leaderboard_table
from turnout.cli.wording import duration, state_style
from turnout.errors import ServerTrouble, ServerUnreachable, WaitedTooLong
from turnout.job import Job
from turnout.records import Event, JobRecord, Leaderboard

_LOOK_SECONDS = 2.0
_LINES_AROUND_BOARD = 8
_PLAIN_PROGRESS_SECONDS = 5.0
_WIDEST_BAR = 30


def watch(job: Job, console: Console, timeout_seconds: float | None = None) -> JobRecord:
    """Show the job until it is final, and how it ended. Ctrl-C raises ``KeyboardInterrupt``; the job goes on. Raises
    ``WaitedTooLong``."""
    arriving = batches(job, timeout_seconds)
    return _watch_live(job, console, arriving) if console.is_terminal else _watch_plainly(job, console, arriving)


class _View:
    """What the screen shows; drawn again and again by a thread of rich's."""

    def __init__(self, job: Job, console: Console) -> None:
        self.record = job.record
        self.board: Leaderboard | None = None
        self.last_log = ""
        self._stage = ""
        self._console = console
        self._since = time.monotonic()

    def note(self, event: Event) -> None:
        """Keep what a log says until the work changes; ``Training: 3 of 10`` goes on with ``Training: 4 of 10``."""
        if event.type == "log" and not is_for_experts(event):
            self.last_log = str(event.data.get("message", ""))
        elif event.type == "progress":
            stage = str(event.data.get("message") or "").partition(":")[0]
            if stage != self._stage:
                self._stage, self.last_log = stage, ""

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [self._heading(), self._bar()]
        if self.board is not None and self.board.rows:
            most = max(3, self._console.height - _LINES_AROUND_BOARD)
            parts += [Text(""), leaderboard_table(self.board, self._console.width, most)]
            hidden = len(self.board.rows) - most
            if hidden > 0:
                parts.append(Text(f"… and {hidden} more", style="dim"))
        if self.last_log:
            parts += [Text(""), Text(self.last_log, style="dim", overflow="ellipsis", no_wrap=True)]
        return Group(*parts)

    def _heading(self) -> Text:
        record = self.record
        text = Text(f"{record.kind} {record.id} ")
        text.append(record.state, style=f"bold {state_style(record.state)}")
        if record.state == "running":
            text.append(f" on {record.worker}" + (f", attempt {record.attempt}" if record.attempt > 1 else ""))
        elif record.waiting_for:
            text.append(f": {record.waiting_for}")
        text.append(f"  {duration(time.monotonic() - self._since)}", style="dim")
        return text

    def _bar(self) -> Table:
        progress = self.record.progress
        grid = Table.grid(padding=(0, 1))
        fraction = progress.fraction
        # On a narrow screen the words need the room.
        width = min(_WIDEST_BAR, self._console.width // 5)
        pulse = fraction is None and not self._waits
        bar = ProgressBar(total=1.0, completed=fraction or 0.0, width=width, pulse=pulse)
        eta = f"about {duration(progress.eta_seconds)} left" if progress.eta_seconds else ""
        percent = "" if fraction is None else f"{100 * fraction:3.0f} %"
        grid.add_row(
            bar, percent, Text(progress.message or "", overflow="ellipsis", no_wrap=True), Text(eta, style="dim")
        )
        return grid

    @property
    def _waits(self) -> bool:
        return self.record.state in ("waiting", "queued")


def _watch_live(job: Job, console: Console, arriving: Iterator[list[Event]]) -> JobRecord:
    view = _View(job, console)
    board_is_new = False
    with Live(view, console=console, refresh_per_second=5, transient=True):
        for events in arriving:
            for event in events:
                view.note(event)
            board_is_new = board_is_new or any(event.type == "leaderboard" for event in events)
            # The stream, which outlasts a restart of the server, decides when it has been away for too long.
            with suppress(ServerUnreachable, ServerTrouble):
                view.record = job.refresh()
                if board_is_new:
                    view.board, board_is_new = job.leaderboard(), False
    return _show_end(job, console)


def _watch_plainly(job: Job, console: Console, arriving: Iterator[list[Event]]) -> JobRecord:
    next_progress, last_message = 0.0, None
    for events in arriving:
        for event in events:
            if is_for_experts(event):
                continue
            if event.type == "progress":
                message = event.data.get("message")
                if message == last_message and time.monotonic() < next_progress:
                    continue
                last_message, next_progress = message, time.monotonic() + _PLAIN_PROGRESS_SECONDS
            line = event_line(event)
            if line:
                console.print(line, soft_wrap=True, markup=False)
    return _show_end(job, console)


def _show_end(job: Job, console: Console) -> JobRecord:
    # Final already, so this waits only for a server that is away.
    record = job.wait()
    show_ending(console, record, job.leaderboard())
    return record


def is_for_experts(event: Event) -> bool:
    """What a library says of its inner workings: shown to who asks for everything."""
    return event.type == "log" and event.data.get("level") == "debug"


def event_line(event: Event) -> str:
    """One event as a line of text; empty for what says nothing of its own."""
    data = event.data
    match event.type:
        case "state":
            reason = f" ({data['reason']})" if data.get("reason") else ""
            attempt = f", attempt {data['attempt']}" if data.get("attempt") else ""
            text = f"{data['state']}{reason}{attempt}"
        case "progress":
            fraction = "" if data.get("fraction") is None else f"{100 * data['fraction']:3.0f} % "
            eta = f", about {duration(data['eta_seconds'])} left" if data.get("eta_seconds") else ""
            message = data.get("message") or ""
            text = f"{fraction}{message.rstrip('.') if eta else message}{eta}"
        case "log":
            level = data.get("level", "info")
            text = data.get("message", "") if level == "info" else f"{level}: {data.get('message', '')}"
        case "leaderboard":
            models = data.get("models")
            text = f"leaderboard: {models} model{'' if models == 1 else 's'}, best {data.get('leader')}"
        case "artifact":
            text = f"artifact: {data.get('name')}"
        case "output":
            text = str(data.get("text", data))
        case _:
            return ""
    return f"{event.created_at.astimezone():%H:%M:%S} {text}"


def show_ending(console: Console, record: JobRecord, board: Leaderboard | None) -> None:
    """The final state in a line, and the leaderboard if there is one."""
    if board is not None and board.rows:
        console.print(leaderboard_table(board, console.width))
        console.print()
    line = Text(f"{record.kind} {record.id} ").append(record.state, style=f"bold {state_style(record.state)}")
    if record.reason not in (None, "completed"):
        line.append(f" ({record.reason})")
    if record.error is not None:
        line.append(f": {record.error.get('message', '')}")
    elif record.metrics.get("run_seconds") is not None:
        line.append(f" in {duration(record.metrics['run_seconds'])}", style="dim")
    console.print(line, soft_wrap=True)


def batches(job: Job, timeout_seconds: float | None) -> Iterator[list[Event]]:
    """All events that have come, again and again; an empty batch every two seconds in which none came.

    The stream is read in a thread, so that this one can look at the clock and be interrupted. Raises what the stream
    does, and ``WaitedTooLong``.
    """
    arrived: queue.Queue[Event | Exception | None] = queue.Queue()
    give_up = None if timeout_seconds is None else time.monotonic() + timeout_seconds

    def read() -> None:
        try:
            for event in job.stream():
                arrived.put(event)
            arrived.put(None)
        except Exception as exc:  # noqa: BLE001 - raised again in the thread that would wait for it for ever
            arrived.put(exc)

    threading.Thread(target=read, name="events", daemon=True).start()
    while True:
        batch: list[Event] = []
        try:
            left = _LOOK_SECONDS if give_up is None else max(0.0, give_up - time.monotonic())
            item = arrived.get(timeout=min(left, _LOOK_SECONDS))
            while item is not None:
                if isinstance(item, Exception):
                    raise item
                batch.append(item)
                item = arrived.get_nowait()
        except queue.Empty:
            yield batch
            if give_up is not None and time.monotonic() >= give_up:
                raise WaitedTooLong(f"Job {job.id} is not final after {timeout_seconds:g} s; it goes on.") from None
            continue
        yield batch
        return
