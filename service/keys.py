"""Make, revoke and list API keys. The servers that use the file need not be told.

    python -m service.keys add NAME [--rate N]    print a new key, this once
    python -m service.keys revoke NAME
    python -m service.keys list

The file is --file's, else that of [auth] keys_file in the settings (ATTRAI_CONFIG).
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import AttraiError, SettingsError
from pipeline.settings import ROOT
from service.errors import KeyFileError
from service.keyfile import (
    HIGHEST_RATE,
    MOST,
    Key,
    digest_of,
    format_key,
    is_name,
    make_key,
    parse_keys,
)
from service.settings import load_settings

MODE = 0o640
"""For the owner, and for the group that the service is in."""


def add_key(path: Path, name: str, rate: int | None = None) -> str:
    """Make a key of that name in the file at `path`, which need not be there yet; the key.

    Raises KeyFileError and OSError; then the file is as it was.
    """
    if not is_name(name):
        raise KeyFileError(
            "a name is 1 to 64 of [A-Za-z0-9._-], and begins with one of [A-Za-z0-9]"
        )
    with _locked(path):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        keys = parse_keys(text)
        if any(key.name == name for key in keys):
            raise KeyFileError(f"there is a key of the name {name}; revoke it first")
        if len(keys) == MOST:
            raise KeyFileError(f"a file may have {MOST} keys, and this one has them")
        made = make_key()
        end = "" if text.endswith("\n") or not text else "\n"
        _replace(path, text + end + format_key(Key(name, digest_of(made), rate)))
    return made


def revoke_key(path: Path, name: str) -> None:
    """Take the key of that name out of the file at `path`. Raises KeyFileError and OSError."""
    with _locked(path):
        text = path.read_text(encoding="utf-8")
        if not any(key.name == name for key in parse_keys(text)):
            raise KeyFileError(f"there is no key of the name {name}")
        lines = text.splitlines(keepends=True)
        _replace(path, "".join(line for line in lines if line.split()[:1] != [name]))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One change at a time. The folder is what is locked: the file itself is replaced."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(path: Path, text: str) -> None:
    """Write the file anew, in one step, with the owner and group that it has."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    written = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if path.exists():
                status = path.stat()
                os.fchown(handle, status.st_uid, status.st_gid)
            os.fchmod(handle, MODE)
            file.write(text)
            file.flush()
            os.fsync(handle)
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _chosen(file: Path | None) -> Path:
    """The file to work on; a link to it stays one. Raises SettingsError where none is set."""
    if file is None:
        named = load_settings().auth.keys_file
        if not named:
            raise SettingsError("the settings have no [auth] keys_file; give --file")
        file = ROOT / named
    return file.resolve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.keys", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="print a new key, this once")
    add.add_argument("--rate", type=_rate, help="requests a minute, 0 for no limit")
    revoke = commands.add_parser("revoke", help="a key is no longer accepted")
    for command in (add, revoke):
        command.add_argument("name", help="who holds the key; in logs and metrics")
    for command in (add, revoke, commands.add_parser("list", help="names and rates")):
        command.add_argument("--file", type=Path, help="the file, if not that of the settings")
    return parser


def _rate(text: str) -> int:
    rate = int(text)
    if not 0 <= rate <= HIGHEST_RATE:
        raise argparse.ArgumentTypeError(f"must be 0 to {HIGHEST_RATE}")
    return rate


def _listed(key: Key) -> str:
    if key.rate is None:
        return key.name
    return f"{key.name}\t{key.rate} a minute" if key.rate else f"{key.name}\tno limit"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; 1 where it fails."""
    options = _parser().parse_args(arguments)
    try:
        path = _chosen(options.file)
        if options.command == "add":
            new = not path.exists()
            key = add_key(path, options.name, options.rate)
            sys.stdout.write(key + "\n")
            sys.stderr.write("Keep it now: it is not shown again.\n")
            if new:
                sys.stderr.write(f"{path} is new: let the service's user read it.\n")
        elif options.command == "revoke":
            revoke_key(path, options.name)
        else:
            for found in parse_keys(path.read_text(encoding="utf-8")):
                sys.stdout.write(_listed(found) + "\n")
    except (AttraiError, OSError, UnicodeDecodeError) as error:
        said = "the file is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        sys.stderr.write(f"{options.command} failed: {said}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
