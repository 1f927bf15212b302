"""A name server that says one thing now and another thing later."""

from __future__ import annotations

import socket
import struct
import threading
from ipaddress import ip_address

_A, _CNAME, _AAAA = 1, 5, 28
_QUERY_NAME = b"\xc0\x0c"
"""A pointer to the name in the question."""


class NameServer:
    """Answers look-ups on UDP from a table: for each name a list of answers, the last for ever."""

    def __init__(self, address: str, names: dict[str, list[list[str]]]) -> None:
        self.names = names
        self.asked: list[str] = []
        self._told: dict[tuple[str, int], int] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def forget(self) -> None:
        """Begin anew with the first answers."""
        self._told.clear()
        self.asked.clear()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode("latin-1"))
            at += 1 + size
        name = ".".join(labels).lower()
        (kind,) = struct.unpack_from(">H", query, at + 1)
        self.asked.append(name)
        answers = self.names.get(name, [])
        turn = self._told.get((name, kind), 0)
        self._told[name, kind] = turn + 1
        records = self._records(answers[min(turn, len(answers) - 1)], kind) if answers else []
        flags = 0x8180 if answers else 0x8183
        head = query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        return head + query[12 : at + 5] + b"".join(records)

    def _records(self, values: list[str], kind: int) -> list[bytes]:
        records, owner = [], _QUERY_NAME
        for value in values:
            if value.startswith("CNAME "):
                owner = b"\x09localhost\0"
                records.append(_record(_QUERY_NAME, _CNAME, owner))
                continue
            address = ip_address(value)
            if kind == (_A if address.version == 4 else _AAAA):
                records.append(_record(owner, kind, address.packed))
        return records


def _record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, 0, len(data)) + data
