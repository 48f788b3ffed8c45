"""Whether the parts of a stack answer. All of them are on this machine, to which no proxy leads."""

import socket

import httpx


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def has_worker(api_url: str, api_key: str, queue: str, pid: int) -> bool:
    """Whether the worker process of this id is at work; one that was killed a moment ago still seems to be there."""
    headers = {"Authorization": f"Bearer {api_key}"}
    try:
        answer = httpx.get(api_url + "/v1/workers", headers=headers, timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.is_success and any(row["queue"] == queue and row["pid"] == pid for row in answer.json()["workers"])


def redis_answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            # A server that still loads its file answers with -LOADING.
            return b"+PONG" in _read_lines(connection, 2)
    except OSError:
        return False


def _read_lines(connection: socket.socket, count: int) -> bytes:
    received = b""
    while received.count(b"\n") < count and (part := connection.recv(4096)):
        received += part
    return received
