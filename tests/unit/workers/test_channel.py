import json
import math
import socket
import threading

import pytest

from workers.channel import Channel, ChannelClosed, Message


@pytest.fixture
def ends() -> tuple[Channel, Channel]:
    left, right = socket.socketpair()
    return Channel(left), Channel(right)


def test_messages_arrive_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    messages = [{"type": "log", "message": "ü" * length} for length in (0, 1, 100_000)]
    sender = threading.Thread(target=lambda: [left.send(message) for message in messages])
    sender.start()
    assert [right.receive() for _ in messages] == messages
    sender.join()


def test_many_threads_do_not_mix_their_messages(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    threads = [
        threading.Thread(target=lambda n=n: [left.send({"n": n, "body": str(n) * 5000}) for _ in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for _ in range(200):
        message = right.receive()
        assert message["body"] == str(message["n"]) * 5000
    for thread in threads:
        thread.join()


def test_the_end_is_noticed_on_both_sides(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    left.close()
    with pytest.raises(ChannelClosed):
        right.receive()
    with pytest.raises(ChannelClosed):
        right.send({"x": "y"})


def test_a_message_that_is_too_large_is_refused(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(ValueError, match="too large"):
        ends[0].send({"x": "y" * (17 << 20)})


def test_a_stream_cut_in_the_middle_of_a_message_is_an_end() -> None:
    left, right = socket.socketpair()
    left.sendall(b"\x00\x00\x00\x10half")
    left.close()
    with pytest.raises(ChannelClosed):
        Channel(right).receive()


@pytest.mark.parametrize("frame", [b"\x00\x00\x00\x03{]}", b"\x00\x00\x00\x02[]", b"\xff\xff\xff\xff"])
def test_what_is_no_message_ends_the_channel(frame: bytes) -> None:
    left, right = socket.socketpair()
    left.sendall(frame)
    with pytest.raises(ChannelClosed):
        Channel(right).receive()


def test_text_that_can_not_be_stored_is_replaced(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    left.send({"bad \udcff": ["a\0b", "\ud83d"], "good": "\N{GRINNING FACE}ü", "n": 1})
    assert right.receive() == {"bad \ufffd": ["a\ufffdb", "\ufffd"], "good": "\N{GRINNING FACE}ü", "n": 1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(ends: tuple[Channel, Channel], value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        ends[0].send({"x": [value]})


@pytest.mark.parametrize(
    "message",
    [
        {"NaN": "Infinity and -Infinity"},
        {"deep": json.loads("[" * 400 + "]" * 400)},
        {"whole": 2**70, "least": 5e-324, "most": 1.7976931348623157e308, "both": [True, None]},
    ],
)
def test_what_is_json_arrives_as_it_was(ends: tuple[Channel, Channel], message: Message) -> None:
    ends[0].send(message)
    assert ends[1].receive() == message


def test_an_offer_never_waits_for_a_reader(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    for number in range(10_000):
        left.offer({"type": "lease", "until": number})
    assert right.receive()["until"] == 0


def test_an_ended_channel_still_gives_what_had_arrived(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    left.send({"n": 1})
    right.shut()
    assert right.receive() == {"n": 1}
    with pytest.raises(ChannelClosed):
        right.receive()
