"""What a browser saw while a page was open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

FAILED = re.compile(r"the server responded with a status of (\d+)")


class Sights:
    """Watches a browser's windows: errors, refused resources, and requests to anywhere else."""

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.expected: set[int] = set()
        self.lost = False  # whether the test has the server disappear
        self._wrong: list[str] = []
        self._statuses: list[int] = []
        self._home = home
        context.on("console", lambda message: self._console(message.type, message.text))
        context.on("weberror", lambda error: self._wrong.append(str(error.error)))
        context.on("request", lambda request: self._request(request.url))

    def expect(self, *statuses: int) -> None:
        """Errors with these statuses belong to the test."""
        self.expected |= set(statuses)

    def check(self) -> None:
        """Fail for everything that was not expected, and for what was but did not come."""
        assert self._wrong == []
        assert set(self._statuses) == self.expected

    def _console(self, kind: str, text: str) -> None:
        if failed := FAILED.search(text):
            self._statuses.append(int(failed[1]))
        elif self.lost and "ERR_FAILED" in text:
            pass
        elif kind in ("error", "warning"):  # a breach of the policy is an error
            self._wrong.append(text)

    def _request(self, url: str) -> None:
        if not url.startswith((self._home, "blob:" + self._home)):
            self._wrong.append(f"a request to {url}")
