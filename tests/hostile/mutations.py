"""Ways to damage a photo. Each takes the dice, the photo and another one, and returns bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.hostile.parts import PNG, Part, join, split
from tests.pipeline.pictures import resized

Mutation = Callable[[Random, bytes, bytes], bytes]

EDGES = (0, 1, 2, 3, 7, 127, 128, 255, 256, 16_383, 16_384, 32_767, 32_768, 65_535, 65_536,
         2**24, 2**31 - 1, 2**31, 2**32 - 1)  # fmt: skip


def flip_bits(dice: Random, data: bytes, _other: bytes) -> bytes:
    damaged = bytearray(data)
    reach = dice.choice((64, 400, len(data)))  # headers make the more interesting victims
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        damaged[dice.randrange(min(reach, len(data)))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def overwrite(dice: Random, data: bytes, _other: bytes) -> bytes:
    at, width = dice.randrange(len(data)), dice.choice((1, 2, 4))
    value = dice.choice(EDGES) & (1 << 8 * width) - 1
    return data[:at] + value.to_bytes(width, dice.choice(("big", "little"))) + data[at + width :]


def truncate(dice: Random, data: bytes, _other: bytes) -> bytes:
    return data[: dice.randrange(len(data))]


def splice(dice: Random, data: bytes, other: bytes) -> bytes:
    """The head of one photo on the tail of another, be it of another format."""
    return data[: dice.randrange(1, len(data))] + other[dice.randrange(len(other)) :]


def shift(dice: Random, data: bytes, other: bytes) -> bytes:
    """A span left out, doubled, or let in from another photo."""
    start = dice.randrange(len(data))
    end = min(len(data), start + dice.choice((1, 2, 8, 100, 1000)))
    middle = dice.choice((b"", data[start:end] * 2, other[start:end], dice.randbytes(end - start)))
    return data[:start] + middle + data[end:]


def _one_part(change: Callable[[Random, Part], Part]) -> Mutation:
    def mutate(dice: Random, data: bytes, _other: bytes) -> bytes:
        parts = split(data)
        at = dice.randrange(len(parts))
        parts[at] = change(dice, parts[at])
        return join(parts, data)

    mutate.__name__ = change.__name__
    return mutate


def _damage_content(dice: Random, part: Part) -> Part:
    content = bytearray(part.content or b"\0")
    for _ in range(dice.choice((1, 2, 16))):
        content[dice.randrange(min(len(content), dice.choice((16, len(content)))))] = dice.choice(
            (0, 1, 127, 128, 255, dice.randrange(256))
        )
    return part.with_content(bytes(content))


def _resize_content(dice: Random, part: Part) -> Part:
    size = dice.choice((0, 1, len(part.content) // 2, len(part.content) * 2, 65_000))
    return part.with_content((part.content * 2 + bytes(size))[:size])


def _wrong_length(dice: Random, part: Part) -> Part:
    return replace(part, length=dice.choice(EDGES))


def _wrong_checksum(dice: Random, part: Part) -> Part:
    return replace(part, crc=dice.getrandbits(32))


def _rename(dice: Random, part: Part) -> Part:
    return replace(part, kind=dice.randbytes(len(part.kind)))


damage_part = _one_part(_damage_content)
resize_part = _one_part(_resize_content)
wrong_length = _one_part(_wrong_length)
wrong_checksum = _one_part(_wrong_checksum)
rename_part = _one_part(_rename)


def shuffle_parts(dice: Random, data: bytes, _other: bytes) -> bytes:
    parts = split(data)
    dice.shuffle(parts)
    return join(parts, data)


def drop_or_repeat_part(dice: Random, data: bytes, _other: bytes) -> bytes:
    parts = split(data)
    at = dice.randrange(len(parts))
    parts[at : at + 1] = [parts[at]] * dice.choice((0, 0, 2, 3, 50, 300))
    return join(parts, data)


def borrow_part(dice: Random, data: bytes, other: bytes) -> bytes:
    """A part of another photo, where the two are of one format."""
    parts, others = split(data), split(other)
    parts.insert(dice.randrange(len(parts) + 1), dice.choice(others))
    return join(parts, data)


def giant(dice: Random, data: bytes, _other: bytes) -> bytes:
    """Other dimensions in the header, up to the largest that it can hold; few are accepted."""
    sizes = (0, 1, 15, 16, 17, 300, 2_500, 9_000, 16_383, 65_535)
    width, height = dice.choice(sizes), dice.choice(sizes)
    if data.startswith(b"RIFF"):
        parts = split(data)
        if parts[0].kind == b"VP8X":
            size = struct.pack("<II", max(width, 1) - 1, max(height, 1) - 1)
            content = parts[0].content[:4] + size[:3] + size[4:7]
            return join([parts[0].with_content(content), *parts[1:]], data)
        if parts[0].kind != b"VP8 ":
            return data[:21] + dice.randbytes(4) + data[25:]
    if data.startswith((PNG, b"RIFF")) or b"\xff\xc0" in data:
        return resized(data, width & 0x3FFF if data.startswith(b"RIFF") else width, height & 0xFFFF)
    at = data.index(b"\xff\xc2") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def several(dice: Random, data: bytes, other: bytes) -> bytes:
    """Damage upon damage, blind, for what is damaged does not come apart any more."""
    for _ in range(dice.randrange(2, 6)):
        data = dice.choice((flip_bits, overwrite, shift))(dice, data, other) or b"\0"
    return data


ALL: tuple[Mutation, ...] = (
    flip_bits, overwrite, truncate, splice, shift, damage_part, damage_part, resize_part,
    wrong_length, wrong_checksum, rename_part, shuffle_parts, drop_or_repeat_part, borrow_part,
    giant, several,
)  # fmt: skip
