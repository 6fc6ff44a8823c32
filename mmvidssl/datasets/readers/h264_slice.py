"""What kind of frame a packet of H.264 holds."""

from collections.abc import Iterator

SLICE, IDR_SLICE = 1, 5
# By the number that a slice begins with, of which 5 to 9 say that the whole picture is of one kind.
KINDS = 'PBIPI'
NUM_BYTES = 16


def slice_kind(packet: bytes, extradata: bytes | None) -> str:
    """'I', 'P' or 'B', of a frame's first slice; '' where there is none.

    Args:
        packet: The frame.
        extradata: The stream's, which says how units are told apart.
    """
    for unit in _units(packet, extradata):
        if unit[0] & 31 == IDR_SLICE:
            return 'I'
        if unit[0] & 31 == SLICE:
            return KINDS[_second_number(unit[1:]) % len(KINDS)]
    return ''


def _units(packet: bytes, extradata: bytes | None) -> Iterator[bytes]:
    """The first bytes of each unit, not empty."""
    if extradata and extradata[0] == 1:  # as in MP4, a length before each
        width, place = extradata[4] % 4 + 1, 0
        while place + width < len(packet):
            size = int.from_bytes(packet[place : place + width], 'big')
            place += width
            yield packet[place : place + NUM_BYTES]
            place += size
    else:
        for unit in packet.split(b'\0\0\1')[1:]:
            if unit:
                yield unit[:NUM_BYTES]


def _second_number(data: bytes) -> int:
    """The second of the numbers in Exp-Golomb code that ``data`` begins with."""
    bits, number = f'{int.from_bytes(data, "big"):0{8 * len(data)}b}', 0
    for _ in range(2):
        num_zeros = len(bits) - len(bits.lstrip('0'))
        number = int(bits[num_zeros : 2 * num_zeros + 1] or '1', 2) - 1
        bits = bits[2 * num_zeros + 1 :]
    return number
