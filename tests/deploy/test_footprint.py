"""What photos leave behind: nothing on a disk, and no memory."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from pipeline.types import Pixels
from service.requests import max_body
from service.settings import Settings
from tests.deploy.altered import Altered
from tests.deploy.client import Client
from tests.deploy.machine import Machine
from tests.deploy.provision import until, workers
from tests.deploy.writes import Writes

Figure = Callable[[str, str], None]
Scale = Callable[[int, int], int]
LOGS = ("/var/log/journal/", "/var/log/nginx/")
RAW = {"Content-Type": "application/octet-stream"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}


QUICK = {"compress_level": 1, "method": 0}
"""For PNG and for WebP."""


def form(photo: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return head + photo + b"\r\n--b--\r\n"


def photos() -> Iterator[bytes]:
    """Photos of 1 kB up to the limit."""
    noise = np.random.default_rng(0).integers(0, 256, (2300, 2400, 3), np.uint8)
    for side in (20, 100, 400, 1100, 2300):
        file = io.BytesIO()
        Image.fromarray(noise[:side, :side]).save(file, "PNG", compress_level=1)
        yield file.getvalue()
    file = io.BytesIO()
    Image.fromarray(noise[:400, :400]).save(file, "JPEG", quality=95)
    yield padded(file.getvalue(), Settings().photo.max_bytes)


def padded(jpeg: bytes, length: int) -> bytes:
    """The same photo with comments that make it as long as that."""
    left, comments = length - len(jpeg), b""
    while left:
        size = left if left <= 65537 else min(65537, left - 4)  # the last one needs a head, too
        comments += b"\xff\xfe" + (size - 2).to_bytes(2, "big") + bytes(size - 4)
        left -= size
    return jpeg[:2] + comments + jpeg[2:]


def test_nothing_of_a_photo_touches_a_disk(
    machine: Machine, client: Client, figure: Figure
) -> None:
    sizes = []
    with Writes(machine.root) as writes:
        for photo in photos():
            sizes.append(len(photo))
            text = json.dumps({"image": base64.b64encode(photo).decode()}).encode()
            for body, headers, query in (
                (photo, RAW, ""),
                (photo, RAW, "?format=png"),
                (form(photo), FORM, "?format=jpeg"),
                (text, JSON, "?format=webp"),
            ):
                answer = client.ask("/predict" + query, body, headers)
                assert answer.status == 200, answer.body[:500]
        refused = client.ask("/predict", bytes(max_body(sizes[-1])))
        assert refused.status == 413
        written = {path for path in writes.paths() if not inside(path, LOGS)}
    assert sizes[0] < 2000
    assert sizes[-1] == Settings().photo.max_bytes
    assert written == set()
    figure("photos and disks", f"{4 * len(sizes)} uploads of up to {sizes[-1]} bytes, no write")


def inside(path: str, folders: tuple[str, ...]) -> bool:
    """A path as the machine or the host sees it, within one of its folders."""
    return path.removeprefix("/mnt/root").removeprefix("/mnt/upper").startswith(folders)


def test_a_spool_would_be_seen(machine: Machine, client: Client, photo: bytes) -> None:
    nginx = {"client_body_buffer_size 22435160": "client_body_buffer_size 16k"}
    with Altered(machine, site=nginx), Writes(machine.root) as writes:
        assert client.ask("/predict", photo).status == 200
        assert any("/var/lib/nginx/body/" in path for path in writes.paths())


def test_logs_grow_by_lines_not_by_photos(machine: Machine, client: Client, photo: bytes) -> None:
    def size() -> int:
        logs = [*machine.file("/var/log/nginx").iterdir()]
        return sum(file.stat().st_size for file in logs)

    before = size()
    for _ in range(5):
        client.ask("/predict", photo)
    assert size() - before < len(photo) / 10


class Varied:
    """Photos of many sizes and formats, with several faces or none; the same in every run.

    The first are as large as they come: what ONNX Runtime took for them it keeps, and what is left
    to see is whether anything grows without end.
    """

    def __init__(self, portrait: Pixels, largest: int) -> None:
        self._portrait = Image.fromarray(portrait)
        self._random = np.random.default_rng(7)
        self._largest = largest
        self._first = 40

    def __call__(self) -> bytes:
        draw = self._random
        self._first -= 1
        least = self._largest - 50 if self._first >= 0 else 16
        width, height = (int(side) for side in draw.integers(least, self._largest, 2))
        picture = Image.new("RGB", (width, height), tuple(draw.integers(0, 256, 3).tolist()))
        for _ in range(int(draw.integers(0, 6))):
            side = int(draw.integers(24, max(width, height) + 24))
            at = (int(draw.integers(-side // 2, width)), int(draw.integers(-side // 2, height)))
            picture.paste(self._portrait.resize((side, side), Image.Resampling.BILINEAR), at)
        file = io.BytesIO()
        # As quickly as it goes: the server is to wait for photos as little as may be.
        picture.save(file, ("JPEG", "PNG", "WEBP")[int(draw.integers(3))], **QUICK)
        return file.getvalue()


@pytest.fixture
def one_worker(machine: Machine) -> Iterator[None]:
    with Altered(machine, environment={"ATTRAI_WORKERS": "1"}):
        yield


@pytest.mark.usefixtures("one_worker")
def test_memory_stays_flat(
    machine: Machine, client: Client, astronaut: Pixels, scale: Scale, figure: Figure
) -> None:
    until(lambda: len(workers(machine)) == 1)
    (pid,) = (worker["pid"] for worker in workers(machine))
    # In short, what is warm after 200 photos is nearly all.
    count, varied = scale(300, 10_000), Varied(astronaut, scale(300, 1600))
    memory = []
    for _ in range(count):
        assert client.ask("/predict", varied()).status == 200
        memory.append(resident(machine, pid))
    warm, most = memory[199], max(memory[200:])
    figure(
        "memory of a worker",
        f"{warm / 2**20:.0f} MB after 200 photos, at most {most / 2**20:.0f} MB in {count}",
    )
    assert [worker["pid"] for worker in workers(machine)] == [pid]
    assert most - warm < 20 * 2**20


def resident(machine: Machine, pid: int) -> int:
    """Bytes of memory that a process of the machine holds."""
    status = machine.file(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
