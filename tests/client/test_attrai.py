"""The client against the service itself, and servers that are full, slow, gone or others."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from PIL import Image

from client import attrai
from client.attrai import AttraiError, Client, Unreachable
from pipeline.settings import ROOT
from tests.client.conftest import Front

PROBLEM = {
    "type": "urn:attrai:problem:server-full",
    "title": "Server full",
    "status": 429,
    "detail": "try again",
    "instance": "/predict",
    "request_id": "r",
}


@pytest.fixture
def client(server: Front, waits: list[float]) -> Client:
    return Client(server.url, sleep=waits.append)


def refuse(server: Front, status: str, **headers: str) -> None:
    body = json.dumps({**PROBLEM, "status": int(status.split()[0])}).encode()
    server.refuse(status, body, Content_Type="application/problem+json", **headers)


def test_a_photo_is_rated(client: Client, photo: bytes) -> None:
    found = client.rate(photo)
    (face,) = found.faces
    assert (found.width, found.height) == (512, 512)
    assert (found.detector, found.scorer) == ("mtcnn", "resnet34-2")
    assert len(found.sha256) == 64
    assert set(found.timing_ms) == {"decode", "detect", "score"}
    assert 1 <= face.score <= 10
    assert face.spread is not None
    assert 0 < face.spread < 5
    assert face.confidence > 0.99
    assert 70 < face.box.width < 110
    assert set(face.landmarks) == {"left_eye", "right_eye", "nose", "mouth_left", "mouth_right"}
    assert face.landmarks["left_eye"].x < face.landmarks["right_eye"].x
    with pytest.raises(FrozenInstanceError):
        face.score = 10.0  # type: ignore[misc]


def test_a_photo_may_be_bytes_a_path_or_a_file(
    client: Client, photo: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo)
    faces = client.rate(photo).faces
    assert client.rate(path).faces == client.rate(str(path)).faces == faces
    assert client.rate(io.BytesIO(photo)).faces == client.rate(memoryview(photo)).faces == faces
    with path.open("rb") as file:
        assert client.rate(file).faces == faces
    with pytest.raises(FileNotFoundError):
        client.rate(tmp_path / "none.jpg")


def test_options_and_the_name_of_a_request_arrive(client: Client, photo: bytes) -> None:
    found = client.rate(
        photo, model="resnet34-2", max_faces=1, min_confidence=0.5, request_id="Trace-1"
    )
    assert found.request_id == "Trace-1"
    assert client.rate(photo, min_confidence=1.0).faces in ((), found.faces)
    with pytest.raises(AttraiError) as error:
        client.rate(photo, max_faces=0)
    assert (error.value.status, error.value.kind) == (400, "bad-option")


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp"])
def test_a_picture_comes_with_its_figures(
    client: Client, photo: bytes, format_: attrai.Format
) -> None:
    picture = client.picture(photo, format_, request_id="Trace-2")
    assert picture.media_type == f"image/{format_}"
    assert picture.request_id == "Trace-2"
    assert Image.open(io.BytesIO(picture.data)).size == (512, 512)
    assert picture.prediction is not None
    assert picture.prediction.faces == client.rate(photo).faces


def test_a_picture_of_a_crowd_comes_without(client: Client, server: Front, photo: bytes) -> None:
    server.refuse("200 OK", photo, Content_Type="image/jpeg", X_Request_ID="Trace-4")
    picture = client.picture(photo, "jpeg")
    assert picture == attrai.Picture(photo, "image/jpeg", "Trace-4", None)


def test_an_address_goes_along_whole_and_its_refusal_comes_back(
    client: Client, server: Front
) -> None:
    address = "http://127.0.0.1/a b.jpg?x=1&y=ü"
    with pytest.raises(AttraiError) as error:
        client.rate_url(address, max_faces=2)
    assert (error.value.status, error.value.kind) == (400, "url-refused")
    (asked,) = server.asked
    assert asked["REQUEST_METHOD"] == "GET"
    sent = asked["QUERY_STRING"].split("&")
    assert "url=http%3A%2F%2F127.0.0.1%2Fa%20b.jpg%3Fx%3D1%26y%3D%C3%BC" in sent
    assert "max_faces=2" in sent


def test_an_error_has_all_that_the_server_said(client: Client, waits: list[float]) -> None:
    with pytest.raises(AttraiError, match=r"415 Unknown image type: .+") as error:
        client.rate(b"no photo", request_id="Trace-3")
    problem = error.value.problem
    assert problem.type == "urn:attrai:problem:unknown-image-type"
    assert (problem.title, problem.status) == ("Unknown image type", 415)
    assert (problem.instance, problem.request_id) == ("/predict", "Trace-3")
    assert problem.detail
    assert waits == []  # nothing that will not change is tried again


def test_models_and_readiness(client: Client, server: Front) -> None:
    served = client.models()
    assert served["default"] in {card["name"] for card in served["models"]}
    assert client.ready()
    refuse(server, "503 Service Unavailable", Retry_After="2")
    assert not client.ready()


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_refused_request_is_made_again_when_the_server_says(
    client: Client, server: Front, waits: list[float], photo: bytes, status: str
) -> None:
    refuse(server, status, Retry_After="1")
    refuse(server, status, Retry_After="3")
    assert len(client.rate(photo).faces) == 1
    assert waits == [1.0, 3.0]
    assert len(server.asked) == 3
    assert {asked["CONTENT_LENGTH"] for asked in server.asked} == {str(len(photo))}


def test_without_a_word_of_when_it_waits_longer_each_time(
    server: Front, waits: list[float], photo: bytes
) -> None:
    for _ in range(6):
        refuse(server, "429 Too Many Requests")
    Client(server.url, retries=6, max_wait=4, sleep=waits.append).rate(photo)
    for waited, most in zip(waits, (0.5, 1, 2, 4, 4, 4), strict=True):
        assert most / 2 <= waited <= most


def test_it_gives_up_after_so_many_tries(server: Front, waits: list[float], photo: bytes) -> None:
    for _ in range(3):
        refuse(server, "429 Too Many Requests", Retry_After="1")
    with pytest.raises(AttraiError) as error:
        Client(server.url, retries=2, sleep=waits.append).rate(photo)
    assert (error.value.status, error.value.kind) == (429, "server-full")
    assert waits == [1.0, 1.0]
    assert len(server.asked) == 3


def test_it_does_not_wait_longer_than_it_may(
    client: Client, server: Front, waits: list[float], photo: bytes
) -> None:
    refuse(server, "503 Service Unavailable", Retry_After="3600")
    with pytest.raises(AttraiError):
        client.rate(photo)
    assert waits == []


@pytest.mark.parametrize(
    "status", ["500 Internal Server Error", "502 Bad Gateway", "404 Not Found"]
)
def test_no_other_refusal_is_tried_again(
    client: Client, server: Front, waits: list[float], photo: bytes, status: str
) -> None:
    refuse(server, status, Retry_After="1")
    with pytest.raises(AttraiError) as error:
        client.rate(photo)
    assert error.value.status == int(status.split()[0])
    assert (waits, len(server.asked)) == ([], 1)


def test_a_key_goes_along(server: Front, photo: bytes) -> None:
    Client(server.url, key="secret").rate(photo)
    Client(server.url).rate(photo)
    assert [asked.get("HTTP_AUTHORIZATION") for asked in server.asked] == ["Bearer secret", None]


def test_a_server_that_is_slow_is_left_after_the_timeout(
    server: Front, waits: list[float], photo: bytes
) -> None:
    server.hold.clear()
    with pytest.raises(Unreachable) as error:
        Client(server.url, timeout=0.2, sleep=waits.append).rate(photo)
    assert isinstance(error.value.__cause__, TimeoutError)
    assert waits == []  # it may still be at work on it


def test_a_server_that_is_gone_is_asked_again(waits: list[float], photo: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    with pytest.raises(Unreachable) as error:
        Client(f"http://127.0.0.1:{port}", retries=3, sleep=waits.append).rate(photo)
    assert isinstance(error.value.__cause__, ConnectionRefusedError)
    assert len(waits) == 3


@pytest.fixture
def restarting(server: Front) -> Iterator[Client]:
    """A client of a server that breaks its first connection off, and serves the second."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        broken, _ = listener.accept()
        broken.close()
        good, _ = listener.accept()
        with good, socket.create_connection(("127.0.0.1", server.port)) as behind:
            back = threading.Thread(target=pipe, args=(behind, good))
            back.start()
            pipe(good, behind)
            back.join()

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        yield Client(f"http://127.0.0.1:{listener.getsockname()[1]}", sleep=lambda _: None)
        thread.join()


def pipe(source: socket.socket, target: socket.socket) -> None:
    while block := source.recv(65536):
        target.sendall(block)
    target.shutdown(socket.SHUT_WR)


def test_a_connection_that_breaks_off_is_made_again(restarting: Client, photo: bytes) -> None:
    assert len(restarting.rate(photo).faces) == 1


def test_a_refusal_by_another_program_is_told_as_far_as_it_goes(
    client: Client, server: Front, photo: bytes
) -> None:
    server.refuse("403 Forbidden", b"<h1>no</h1>", Content_Type="text/html")
    server.refuse("308 Permanent Redirect", b"", Location="https://elsewhere.example/predict")
    for status, words in ((403, "said no more"), (308, "https://elsewhere.example/predict")):
        with pytest.raises(AttraiError, match=words) as error:
            client.rate(photo)
        assert error.value.status == status
        assert error.value.problem.type == "about:blank"


@pytest.mark.parametrize("body", [b"<h1>welcome</h1>", b"[]", b'{"faces": []}', b"\xff"])
def test_an_answer_that_is_not_attrais_is_no_prediction(
    client: Client, server: Front, photo: bytes, body: bytes
) -> None:
    server.refuse("200 OK", body, Content_Type="application/json")
    with pytest.raises(Unreachable, match="not AttrAI's"):
        client.rate(photo)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:4444",
        "ftp://a.example",
        "http://",
        "http://a.example?x=1",
        "http://a.example/#x",
        "http://user:word@a.example",
        "http://a.example:port",
    ],
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Client(url)


def test_a_path_before_the_routes_is_kept(server: Front) -> None:
    server.refuse("200 OK", b"{}")
    Client(f"{server.url}/attrai/").models()
    assert server.asked[0]["PATH_INFO"] == "/attrai/models"


def test_threads_may_share_a_client(client: Client, photo: bytes) -> None:
    found: list[attrai.Prediction] = []
    threads = [threading.Thread(target=lambda: found.append(client.rate(photo))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({prediction.faces[0].score for prediction in found}) == 1
    assert len({prediction.request_id for prediction in found}) == 4


def test_the_one_file_is_all_of_it(server: Front, photo: bytes, tmp_path: Path) -> None:
    (tmp_path / "attrai.py").write_bytes((ROOT / "client" / "attrai.py").read_bytes())
    (tmp_path / "photo.jpg").write_bytes(photo)
    program = f"import attrai; print(attrai.Client({server.url!r}).rate('photo.jpg').width)"
    # -I would leave the folder out; -S leaves out every installed package.
    command = [sys.executable, "-S", "-E", "-c", program]
    ran = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert ran.stdout == "512\n"
