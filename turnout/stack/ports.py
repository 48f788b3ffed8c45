"""Whether the ports that a stack needs are free."""

import socket
from collections.abc import Mapping


def taken_ports(ports: Mapping[str, tuple[str, int]]) -> list[str]:
    """One sentence for each port that another program has, or that two parts of the stack want."""
    sentences = []
    seen: dict[int, str] = {}
    for part, (how, port) in ports.items():
        if port in seen:
            sentences.append(f"Port {port} is wanted by {seen[port]} and by {part}; change one with {how}.")
        elif _is_taken(port):
            sentences.append(f"Port {port}, for {part}, is taken by another program; choose another with {how}.")
        seen[port] = part
    return sentences


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do; without it the ports of a stack that just stopped would look taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
