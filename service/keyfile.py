"""The file of API keys: `NAME SHA256 [RATE]`, one a line, and comments after #.

It holds no key, only digests. A key is 256 random bits: nobody guesses one, with its digest at hand
or without, and so a plain SHA-256 is the right hash. A slow one, as passwords need, would slow down
nothing but every request.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import setting
from service.errors import KeyFileError

MOST = 1000
"""Keys of a file: each has series of its own in the metrics, and a bucket (rates.py)."""
HIGHEST_RATE = 1_000_000
PREFIX = "attrai_"
"""What every key begins with, for programs that look for secrets where none should be."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RATE = re.compile(r"0|[1-9][0-9]{0,6}")
_LINE = "NAME SHA256 [RATE]"

log = logging.getLogger("attrai")


@dataclass(frozen=True)
class AuthSettings:
    """`[auth]`: whether a photo takes a key, and how many photos a key is good for."""

    keys_file: str = setting(
        "",
        "file of the API keys that /predict asks for; relative to the folder of app.py; "
        "empty: it asks for none",
    )
    rate: int = setting(
        0,
        "requests a minute of a key whose line has no rate of its own; 0 for no limit",
        low=0,
        high=HIGHEST_RATE,
    )


@dataclass(frozen=True)
class Key:
    """Who may ask: a name for logs, the SHA-256 of the key in hex, and requests a minute.

    A rate of 0 is no limit, None the default of the settings.
    """

    name: str
    digest: str
    rate: int | None = None


def make_key() -> str:
    """A new key, of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """The SHA-256 of a key's text, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def find(keys: tuple[Key, ...], offered: str) -> Key | None:
    """Whose key that is. It takes as long for any, be it in the list or not."""
    digest = digest_of(offered)
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


def is_name(text: str) -> bool:
    """Whether a key may have that name: 1 to 64 of [A-Za-z0-9._-], not beginning with a mark."""
    return _NAME.fullmatch(text) is not None


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys of a file's text.

    Raises KeyFileError, which names the line at fault and never quotes it: somebody may have put
    the key itself there.
    """
    keys: dict[str, Key] = {}
    digests: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) not in (2, 3) or not is_name(words[0]) or not _DIGEST.fullmatch(words[1]):
            raise KeyFileError(f"line {number} is not {_LINE}")
        rate = _parse_rate(words[2], number) if len(words) == 3 else None
        if words[0] in keys or words[1] in digests:
            raise KeyFileError(f"line {number} has a name or a key that a line above it has")
        keys[words[0]] = Key(words[0], words[1], rate)
        digests.add(words[1])
    if len(keys) > MOST:
        raise KeyFileError(f"there are {len(keys)} keys; a file may have {MOST}")
    return tuple(keys.values())


def format_key(key: Key) -> str:
    """The key's line."""
    rate = "" if key.rate is None else f" {key.rate}"
    return f"{key.name} {key.digest}{rate}\n"


def _parse_rate(text: str, number: int) -> int:
    if not _RATE.fullmatch(text) or int(text) > HIGHEST_RATE:
        raise KeyFileError(
            f"line {number}: a rate is a whole number of requests a minute, 0 to {HIGHEST_RATE}"
        )
    return int(text)


_Stamp = tuple[int, int, int, int]


class KeyFile:
    """The keys of a file, as it is now: who makes or revokes one need not tell the workers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # One value, for threads: a stamp never goes with the keys of another.
        self._read: tuple[_Stamp, tuple[Key, ...]] | None = None
        self._trouble = ""

    def current(self) -> tuple[Key, ...]:
        """All keys; the file is read again only when it is another, or has been written to.

        Raises KeyFileError for a file that cannot be read or is malformed, whatever it held
        before: a key that was revoked must not live on in a worker that could not see it.
        """
        try:
            if self._read is None or self._read[0] != _stamp(self._path.stat()):
                self._read = self._load()
        except (OSError, ValueError, KeyFileError) as error:
            self._read = None
            trouble = _words(error)
            if trouble != self._trouble:
                self._trouble = trouble
                log.error("no key is accepted: %s: %s", self._path, trouble)
            raise KeyFileError(f"cannot read the keys in {self._path}: {trouble}") from None
        if self._trouble:
            self._trouble = ""
            log.warning("keys are accepted again: %s", self._path)
        return self._read[1]

    def _load(self) -> tuple[_Stamp, tuple[Key, ...]]:
        with self._path.open("rb") as file:
            # Before it is read: what is written meanwhile gives it another.
            stamp = _stamp(os.fstat(file.fileno()))
            return stamp, parse_keys(file.read().decode())


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _words(error: Exception) -> str:
    """What is wrong, without a byte of the file: Python would quote what it cannot decode."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
