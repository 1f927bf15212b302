"""What nginx turns away never gets here: it sends a datagram for each such request instead.

One worker at a time listens. The others wait for a lock that the kernel frees when the listener
ends, however it ends; the next one then takes the socket over. It costs a sleeping thread; a
process of its own would cost memory, and time at every stop.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

SOCKET = "ATTRAI_REJECTED"
"""The variable that names the socket; without it, nobody listens."""

_REASON = re.compile(rb" reason=([a-z]+)\s*\Z")
_LONGEST = 4096


class Rejections:
    """Reasons for which nginx turned requests away; kept until somebody counts them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[str] = []
        self._count: Callable[[str], None] = self._kept.append

    def listen(self, path: Path) -> None:
        """Take the datagrams that nginx sends to a socket at `path`, from a thread.

        The socket is open to its owner and group, to which nginx must belong. Its folder must
        exist: failing that, a line in the log says that nothing is counted.
        """
        threading.Thread(target=self._run, args=(path,), name="rejections", daemon=True).start()

    def report_to(self, count: Callable[[str], None]) -> None:
        """Call `count` with every reason, those of the past included."""
        with self._lock:
            for reason in self._kept:
                count(reason)
            self._kept.clear()
            self._count = count

    def _run(self, path: Path) -> None:
        try:
            with path.with_suffix(".lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with _bind(path) as receiver:
                    while True:
                        reason = parse_reason(receiver.recv(_LONGEST))
                        with self._lock:
                            self._count(reason)
        except OSError:
            # Photos are rated all the same.
            logging.getLogger("attrai").exception("rejections are not counted")


def listen() -> Rejections:
    """Listen where the environment says, if it does."""
    rejections = Rejections()
    if path := os.environ.get(SOCKET):
        rejections.listen(Path(path))
    return rejections


def parse_reason(datagram: bytes) -> str:
    """The last word of a line that ends in ` reason=WORD`; nothing for any other line."""
    found = _REASON.search(datagram)
    return found[1].decode() if found else ""


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    receiver.bind(str(path))
    path.chmod(0o660)
    return receiver
