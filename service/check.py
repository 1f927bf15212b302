"""Whether the service can rate a face: what start, reload and the installer go by.

    python -m service.check                       load settings and models here, rate a photo
    python -m service.check --socket PATH         wait until the server behind PATH has rated it
    python -m service.check --socket PATH --drain let no request in, wait for those that wait

The photo is docs/astronaut.jpg. One line says how it went; the exit status is 1 where it did not.
"""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import AttraiError
from pipeline.settings import ROOT

PHOTO = ROOT / "docs" / "astronaut.jpg"
LOCAL_CHECK = "ATTRAI_CHECK"
"""The variable by which the service knows this check, which has no API key. It comes in uWSGI's own
protocol, from who may write to the socket; over HTTP every header's begins with HTTP_."""
_PAUSE = 0.1


class CheckFailed(AttraiError):
    """The service cannot rate a face."""


def check_here() -> str:
    """Rate the photo in this process, with this release's code, settings and models.

    Raises CheckFailed, SettingsError, ModelError, and whatever broken code raises.
    """
    _check_uwsgi()
    # This process is none of the server's: it neither adds to its counts nor takes its sockets.
    for name in ("PROMETHEUS_MULTIPROC_DIR", "ATTRAI_REJECTED"):
        os.environ.pop(name, None)
    from service.application import create_app

    logging.disable(logging.INFO)  # the line of a request is the server's to write
    start = time.monotonic()
    answer = (
        create_app()
        .test_client()
        .post("/predict", data=_photo(), content_type="image/jpeg", environ_base={LOCAL_CHECK: "1"})
    )
    faces = _faces(answer.status_code, answer.get_data())
    return f"this release rates a face: {faces} found, {time.monotonic() - start:.1f} s"


def _check_uwsgi() -> None:
    """Let this release's uWSGI read its settings: after a reload it would be too late."""
    program = Path(sys.executable).with_name("uwsgi")
    ini = ROOT / "deploy" / "uwsgi.ini"
    with tempfile.TemporaryDirectory() as folder:
        # On leaving it would remove the server's own socket.
        environment = {**os.environ, "ATTRAI_STATS": f"{folder}/stats"}
        done = subprocess.run(  # noqa: S603
            [program, "--ini", ini, "--no-server"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        raise CheckFailed(f"uWSGI refuses {ini}: {done.stdout.splitlines()[-1:]}")


def check_server(path: Path, seconds: float) -> str:
    """Wait until the server that listens at `path` has rated the photo.

    Raises CheckFailed when it cannot, has ended (where systemd names it in MAINPID), or `seconds`
    have passed.
    """
    start = time.monotonic()
    trouble = "nothing listens there"
    while (left := start + seconds - time.monotonic()) > 0:
        try:
            status, body = ask(path, "POST", "/predict", _photo(), left)
            if status != 503:  # not warm yet
                faces = _faces(status, body)
                waited = time.monotonic() - start
                return f"the server rates a face: {faces} found, {waited:.1f} s"
            trouble = "it is not ready"
        except FileNotFoundError:
            pass
        except (OSError, http.client.HTTPException) as error:
            trouble = str(error) or type(error).__name__
        if not _runs(os.environ.get("MAINPID")):
            raise CheckFailed("the server has ended; its own lines say why")
        time.sleep(_PAUSE)
    raise CheckFailed(f"no answer at {path} within {seconds:g} s: {trouble}")


def drain(path: Path, seconds: float) -> str:
    """Close `path` to newcomers, and wait until the workers have taken what waited there.

    A worker takes connections in the order of their coming: when one that came last is answered,
    all before it are in a worker's hands, which a graceful stop lets finish. Raises CheckFailed.
    """
    closed = path.with_name(path.name + ".closed")
    try:
        path.rename(closed)
        ask(closed, "GET", "/healthz", b"", seconds)
    except (OSError, http.client.HTTPException) as error:
        raise CheckFailed(f"cannot tell whether requests wait: {error}") from error
    return "no request waits"


def ask(path: Path, method: str, target: str, body: bytes, seconds: float) -> tuple[int, bytes]:
    """One request in uWSGI's own protocol, as nginx sends it; status and body of the answer.

    Raises OSError (TimeoutError after `seconds` without a byte) and HTTPException.
    """
    names = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "PATH_INFO": target,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "image/jpeg" if body else "",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        LOCAL_CHECK: "1",
    }
    block = b"".join(_sized(name) + _sized(value) for name, value in names.items())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(path))
        connection.sendall(struct.pack("<BHB", 0, len(block), 0) + block + body)
        with http.client.HTTPResponse(connection, method=method) as response:
            response.begin()
            return response.status, response.read()


def _sized(text: str) -> bytes:
    data = text.encode("latin-1")
    return struct.pack("<H", len(data)) + data


def _photo() -> bytes:
    try:
        return PHOTO.read_bytes()
    except OSError as error:
        raise CheckFailed(f"this release lacks its photo: {error}") from error


def _faces(status: int, body: bytes) -> int:
    """How many faces an answer holds. Raises CheckFailed for none, and for any other answer."""
    try:
        document = json.loads(body)
        if status == 200 and document["faces"]:
            return len(document["faces"])
        raise CheckFailed(f"status {status}: {document.get('detail') or 'no face was found'}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckFailed(f"status {status}, and an answer that is none") from error


def _runs(pid: str | None) -> bool:
    """Whether the process is there; one that nobody names is taken to be."""
    try:
        # A sandbox may hide it in /proc, and still let its own user signal it.
        os.kill(int(pid or os.getpid()), 0)
    except ProcessLookupError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m service.check", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--socket", type=Path, help="the unix socket of a server")
    parser.add_argument("--timeout", type=float, default=60, help="seconds to wait (60)")
    parser.add_argument("--drain", action="store_true", help="close the socket, empty its queue")
    options = parser.parse_args(arguments)
    if options.drain and not options.socket:
        parser.error("--drain needs --socket")
    try:
        if options.drain:
            said = drain(options.socket, options.timeout)
        elif options.socket:
            said = check_server(options.socket, options.timeout)
        else:
            said = check_here()
    except Exception as error:  # new code may be broken in any way; nobody wants its traceback here
        kind = "" if isinstance(error, AttraiError) else f"{type(error).__name__}: "
        sys.stderr.write(f"check failed: {kind}{error}\n")
        return 1
    sys.stdout.write(said + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
