"""Git's pkt-line framing (gitprotocol-common): four hex digits of length, then the line. Pure but for the
asynchronous stream it may read from; used by `git.py` and by `builder/`.
"""

from collections.abc import AsyncIterable, AsyncIterator
from enum import Enum

from keelway.errors import Transient


class Mark(Enum):
    """The packets that carry no line."""

    FLUSH = b"0000"
    DELIMITER = b"0001"
    END = b"0002"


Packet = bytes | Mark

_MARKS = {mark.value: mark for mark in Mark}


def encode(*packets: Packet) -> bytes:
    """The packets as they go over the wire."""
    return b"".join(
        packet.value if isinstance(packet, Mark) else b"%04x" % (len(packet) + 4) + packet for packet in packets
    )


async def decode(chunks: AsyncIterable[bytes]) -> AsyncIterator[Packet]:
    """The packets of a stream; raises Transient GitProtocolBroken where it ends or errs in the middle."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        start = 0
        while (end := _end(buffer, start)) <= len(buffer):
            yield _packet(bytes(buffer[start:end]))
            start = end
        del buffer[:start]
    if buffer:
        raise _broken()


def text(packet: bytes) -> str:
    """A packet's line for people and parsers: without its line feed, undecodable bytes replaced."""
    return packet.decode(errors="replace").removesuffix("\n")


def _end(buffer: bytearray, start: int) -> int:
    """Where the packet at `start` ends; beyond the buffer's end while its length is not there yet."""
    head = bytes(buffer[start : start + 4])
    if len(head) < 4:
        return len(buffer) + 1
    if head in _MARKS:
        return start + 4
    try:
        length = int(head, 16)
    except ValueError as error:
        raise _broken() from error
    if length < 4:
        raise _broken()
    return start + length


def _packet(raw: bytes) -> Packet:
    return _MARKS.get(raw) or raw[4:]


def _broken() -> Transient:
    return Transient("GitProtocolBroken", "The git server's answer broke off. It is tried again.")
