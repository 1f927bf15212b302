"""Every write to a file system, as the kernel reports it (fanotify): who spools is seen.

A file that is unlinked as soon as it is open, as nginx's temporary ones are, is seen as well, and
so is one that a sandbox reaches by a mount of its own.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType

CLASS_NOTIF, NONBLOCK, CLOEXEC, UNLIMITED_QUEUE = 0x0, 0x2, 0x1, 0x10
MARK_ADD, MARK_FILESYSTEM = 0x1, 0x100
MODIFY, Q_OVERFLOW = 0x2, 0x4000
AT_FDCWD = -100
EVENT = struct.Struct("=IBBHQii")


class Writes:
    """Watches the file system that a folder is on, from `with` on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Writes:
        libc = ctypes.CDLL(None, use_errno=True)
        flags = CLASS_NOTIF | NONBLOCK | CLOEXEC | UNLIMITED_QUEUE
        self._fd = libc.fanotify_init(flags, os.O_RDONLY | os.O_LARGEFILE)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        mask, path = ctypes.c_uint64(MODIFY), os.fsencode(self._folder)
        if libc.fanotify_mark(self._fd, MARK_ADD | MARK_FILESYSTEM, mask, AT_FDCWD, path):
            os.close(self._fd)
            raise OSError(ctypes.get_errno(), "fanotify_mark")
        return self

    def paths(self) -> set[str]:
        """The files written to since the last call."""
        found: set[str] = set()
        while True:
            try:
                events = os.read(self._fd, 65536)
            except BlockingIOError:
                return found
            for _, _, _, _, mask, file, _ in EVENT.iter_unpack(events):
                if mask & Q_OVERFLOW:
                    raise RuntimeError("writes have been missed")
                found.add(str(Path(f"/proc/self/fd/{file}").readlink()))
                os.close(file)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)
