"""A machine's server under other settings, for as long as a test needs them."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from tests.deploy.machine import Machine

CONFIG = "etc/attrai/attrai.ini"
SITE = "etc/nginx/sites-available/attrai"
DROP_IN = "etc/systemd/system/attrai.service.d/test.conf"


class Altered:
    """Restarts the server with `settings`, `environment` and an edited site; `with` undoes it."""

    def __init__(
        self,
        machine: Machine,
        settings: str = "",
        environment: Mapping[str, str] | None = None,
        site: Mapping[str, str] | None = None,
    ) -> None:
        self._machine = machine
        self._environment = environment or {}
        self._settings = settings
        self._site = site or {}

    def __enter__(self) -> Altered:
        names = (CONFIG, SITE, DROP_IN)
        files = [self._machine.root / name for name in names]
        self._before = {file: file.read_bytes() if file.exists() else None for file in files}
        config, site, drop_in = files
        if self._settings:
            config.write_text(self._settings)
        text = site.read_text()
        for old, new in self._site.items():
            assert old in text
            text = text.replace(old, new)
        site.write_text(text)
        drop_in.parent.mkdir(exist_ok=True)
        lines = [f"Environment={name}={value}\n" for name, value in self._environment.items()]
        drop_in.write_text("[Service]\n" + "".join(lines))
        self._apply()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file, content in self._before.items():
            if content is None:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(content)
        self._apply()

    def _apply(self) -> None:
        self._machine.run("systemctl", "daemon-reload")
        self._machine.run("systemctl", "reset-failed", "attrai", check=False)
        self._machine.run("systemctl", "restart", "attrai")
        # A restart leaves no worker of the old configuration behind.
        self._machine.run("systemctl", "restart", "nginx")
