"""nginx in front of the service, on a machine that boots: what it passes on, and its own errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from pipeline.settings import ROOT
from service.requests import max_body
from service.settings import Settings
from tests.deploy.altered import Altered
from tests.deploy.client import Client
from tests.deploy.machine import Machine
from tests.deploy.provision import journal, until

SITE = "etc/nginx/sites-available/attrai"
ALERTS = (ROOT / "deploy" / "alerts.yml").read_text()
CONF = (ROOT / "deploy" / "nginx.conf").read_text()
LIMIT = max_body(Settings().photo.max_bytes)
ERRORS = {
    b"GARBAGE\r\n\r\n": (400, "bad-request"),
    b"GET / HTTP/1.1\r\n\r\n": (400, "bad-request"),
    b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n": (405, "method-not-allowed"),
    b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": (
        411,
        "length-required",
    ),
    b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1): (
        413,
        "body-too-large",
    ),
    b"GET /predict?url=%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 9000): (414, "uri-too-long"),
    b"GET / HTTP/1.1\r\nHost: a\r\nX-A: %b\r\n\r\n" % (b"a" * 9000): (
        431,
        "request-header-fields-too-large",
    ),
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: odd\r\n\r\n": (501, "not-implemented"),
    b"GET / HTTP/3.0\r\nHost: a\r\n\r\n": (505, "http-version-not-supported"),
    b"GET /.problem HTTP/1.1\r\nHost: a\r\n\r\n": (404, "not-found"),
}


@pytest.fixture
def stranger(machine: Machine) -> Client:
    return Client(machine, host="192.0.2.1")


def number(directive: str, text: str = CONF) -> int:
    return int(re.findall(rf"^ *{directive} ?=? ?(\d+)", text, re.M)[0])


def test_the_body_limit_is_the_services() -> None:
    assert number("client_max_body_size") == LIMIT
    assert number("client_body_buffer_size") == LIMIT


def test_nginx_gives_up_before_harakiri_does() -> None:
    ini = (ROOT / "deploy" / "uwsgi.ini").read_text()
    harakiri = number("set-placeholder = patience", ini)
    assert number("uwsgi_read_timeout") == number("uwsgi_send_timeout") == harakiri - 2
    assert number("proxy_read_timeout") > number("uwsgi_read_timeout")


def test_uwsgi_has_room_for_whom_nginx_admits() -> None:
    ini = (ROOT / "deploy" / "uwsgi.ini").read_text()
    assert sum(map(int, re.findall(r"max_conns=(\d+)", CONF))) < number("listen", ini)


def test_a_photo_is_rated(client: Client, photo: bytes) -> None:
    answer = client.ask("/predict", photo)
    assert answer.status == 200
    assert len(answer.document["faces"]) == 1


def test_the_largest_body_gets_through(client: Client) -> None:
    body = b"\xff\xd8" + bytes(LIMIT - 2)
    answer = client.ask("/predict", body)
    assert answer.problem["type"] == "urn:attrai:problem:photo-too-large"


@pytest.mark.parametrize(("request_", "status", "kind"), [(r, *e) for r, e in ERRORS.items()])
def test_nginxs_own_errors_are_problems(
    client: Client, request_: bytes, status: int, kind: str
) -> None:
    answer = client.send(request_)
    assert answer.status == status
    assert answer.problem["type"] == f"urn:attrai:problem:{kind}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers.get_all("Cache-Control") == ["no-store"]


def test_a_path_cannot_break_out_of_the_problem(client: Client) -> None:
    answer = client.send(b'TRACE /a/"b\\c<d>?url=http://secret.test/ HTTP/1.1\r\nHost: a\r\n\r\n')
    assert answer.problem["instance"] == "/a/"
    answer = client.send(b"TRACE /caf%C3%A9?url=secret HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.problem["instance"] == "/caf%C3%A9"


@pytest.mark.parametrize("path", ["/healthz", "/nowhere"])
def test_a_request_id_is_passed_on_and_echoed(machine: Machine, client: Client, path: str) -> None:
    answer = client.ask(path, headers={"X-Request-ID": "my.id-1_A"})
    assert answer.headers.get_all("X-Request-ID") == ["my.id-1_A"]
    assert '"my.id-1_A"' in journal(machine) or path == "/healthz"


@pytest.mark.parametrize("offered", ["", "a b", "x" * 65, '"', "a\tb"])
def test_a_request_id_of_another_form_is_replaced(client: Client, offered: str) -> None:
    for path in ("/healthz", "/.problem"):
        answer = client.ask(path, headers={"X-Request-ID": offered})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_headers_that_protect_come_once(client: Client) -> None:
    names = ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy")
    for path in ("/", "/healthz", "/nowhere", "/.problem"):
        headers = client.ask(path).headers
        for name in (*names, "Content-Security-Policy", "X-Request-ID", "Cache-Control"):
            assert len(headers.get_all(name, [])) == 1, name
        assert headers["Server"] == "nginx"
        # The page brings its own policy; all else is allowed nothing.
        assert ("default-src 'none'; frame-ancestors" in headers["Content-Security-Policy"]) == (
            path != "/"
        )


@pytest.mark.parametrize("path", ["/metrics", "/nginx_status"])
def test_figures_are_for_the_machine_itself(client: Client, stranger: Client, path: str) -> None:
    assert client.ask(path).status == 200
    claim = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"}
    assert stranger.ask(path, headers=claim).problem["status"] == 403


def test_a_client_cannot_claim_another_address(machine: Machine, stranger: Client) -> None:
    claim = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Real-IP": "198.51.100.7",
        "X-Request-ID": "claim",
    }
    assert stranger.ask("/nowhere", headers=claim).status == 404
    (line,) = [json.loads(line) for line in journal(machine).splitlines() if '"claim"' in line]
    assert line["client"] == "192.0.2.0/24"


def test_no_log_holds_a_query(machine: Machine, client: Client) -> None:
    client.ask("/predict?url=http://10.0.0.1/holiday.jpg")
    client.send(b"TRACE /predict?url=http://a.test/holiday.jpg HTTP/1.1\r\nHost: a\r\n\r\n")
    folder = machine.file("/var/log/nginx")
    until(lambda: '127.0.0.0/24 "TRACE /predict" 405' in (folder / "attrai.log").read_text())
    logs = "".join(file.read_text() for file in folder.iterdir())
    assert "holiday" not in logs + journal(machine)


def test_while_the_service_is_down_clients_are_told_to_come_back(
    machine: Machine, client: Client, face: bytes
) -> None:
    machine.run("systemctl", "stop", "attrai")
    try:
        # There is nobody to report rejections to; nginx must not mind.
        machine.run("systemctl", "restart", "nginx")
        answer = client.ask("/predict", face)
        assert answer.problem["type"] == "urn:attrai:problem:service-unavailable"
        assert answer.headers["Retry-After"] == "2"
    finally:
        machine.run("systemctl", "start", "attrai")
    assert client.ask("/predict", face).status == 200


def test_nginx_comes_back_after_it_was_killed(
    machine: Machine, client: Client, face: bytes
) -> None:
    machine.run("systemctl", "kill", "--signal", "KILL", "nginx")
    machine.run("systemctl", "restart", "nginx")
    assert client.ask("/predict", face).status == 200


@pytest.fixture
def tls(machine: Machine) -> Iterator[None]:
    """TLS switched on as the site's own comment says, with a certificate of the test's own."""
    folder, site = machine.root / "etc/ssl/attrai", machine.root / SITE
    folder.mkdir()
    before = site.read_text()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=attrai.test", "-days", "1"]
    command += ["-keyout", "/etc/ssl/attrai/privkey.pem", "-out", "/etc/ssl/attrai/fullchain.pem"]
    machine.run(*command)
    machine.run("sed", "-i", "s/#tls //", f"/{SITE}")
    machine.run("systemctl", "reload", "nginx")
    yield
    site.write_text(before)
    # After a reload, a worker that still redirects might answer the next test.
    machine.run("systemctl", "restart", "nginx")


@pytest.mark.usefixtures("tls")
def test_tls_is_ready_to_switch_on(machine: Machine, client: Client) -> None:
    photo = "/opt/attrai/current/docs/astronaut.jpg"
    curl = ["curl", "--silent", "--insecure", "--http2", "--dump-header", "-"]
    wait = ["--retry", "5", "--retry-connrefused", "--retry-delay", "1"]
    asked = [*curl, *wait, "--form", f"image=@{photo}", "https://127.0.0.1/predict"]
    answer = machine.run(*asked).stdout
    assert answer.startswith("HTTP/2 200")
    assert "strict-transport-security: max-age=" in answer
    assert '"faces":[{' in answer
    # A body of unknown length would have to be spooled.
    piped = "head -c 100000 /dev/zero | " + " ".join([*curl, "-T", "-", "-X", "POST"])
    assert "HTTP/2 411" in machine.run("sh", "-c", f"{piped} https://127.0.0.1/predict").stdout
    # A worker from before the reload may answer once more.
    until(lambda: client.ask("/predict", b"x").status == 308)
    moved = client.ask("/predict", b"x")
    assert moved.headers["Location"] == "https://attrai.test/predict"
    assert client.ask("/metrics").status == 200


def test_prometheus_finds_the_figures_whatever_the_sites_name(
    machine: Machine, client: Client
) -> None:
    (target,) = re.findall(r'targets: \["127\.0\.0\.1:(\d+)"\]', ALERTS)
    # As a name of its own has it, beside another site that answers for all the rest.
    other = "server { listen 80 default_server; return 404; }\n"
    with Altered(machine, site={"server_name _;\n\n    # TLS": "server_name a.test;\n\n    # TLS"}):
        folder = machine.root / "etc/nginx/sites-enabled"
        (folder / "other").write_text(other)
        try:
            machine.run("systemctl", "restart", "nginx")
            assert client.ask("/metrics").status == 404
            answer = Client(machine, port=int(target)).ask("/metrics")
        finally:
            (folder / "other").unlink()
    assert answer.status == 200
    assert b"\nattrai_workers_max " in answer.body
