"""A receiver of webhooks: of some jobs it is told how they end, now and then it fails."""

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.chaos.evidence import Final

# Of so many jobs one has a webhook; of so many deliveries one is answered with an error, after it was noted.
_ONE_OF = 25
_ONE_FAILS_OF = 10


class Receiver:
    """Listens on a port of its own, in threads of its own. Deliveries may come more than once, but must not differ."""

    def __init__(self) -> None:
        self.told: dict[str, list[Final]] = defaultdict(list)
        self._requested: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/chaos"
        self._thread = threading.Thread(target=self._server.serve_forever, name="receive", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wants(self, entry: str) -> bool:
        return int(entry.removeprefix("e")) % _ONE_OF == 0

    def expect(self, job_id: str) -> None:
        self._requested.add(job_id)

    def untold(self) -> set[str]:
        return self._requested - self.told.keys()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _note(self, body: bytes) -> int:
        data = json.loads(body)["data"]
        told = self.told[data["job_id"]]
        told.append(Final(data["job_id"], data["seq"], data["attempt"], data["state"]))
        return 503 if len(told) == 1 and data["seq"] % _ONE_FAILS_OF == 0 else 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        note = self._note

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(note(self.rfile.read(int(self.headers["content-length"]))))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
                """Says nothing: the ledger holds what counts."""

        return Handler
