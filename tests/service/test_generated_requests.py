"""Requests made from the contract, good and bad: the service answers each as the contract says.

`make test` runs a short, seeded form; with ATTRAI_SOAK=1 there are thousands of cases, other ones
each time.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from service import requests
from service.addresses import parse_url
from service.application import create_app
from service.errors import FetchFailed, FetchTimedOut
from service.fetch import FetchSettings
from service.settings import Settings
from tests.service.stubs import CROWDED, stub_predictor

SOAK = bool(os.environ.get("ATTRAI_SOAK"))
HYPOTHESIS: dict[str, Any] = {
    "derandomize": not SOAK,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def cases_of(path: str) -> int:
    """How many: a route that takes a photo has the most to be told wrong."""
    if path == "/predict":
        return 3000 if SOAK else 150
    return 300 if SOAK else 10


def images() -> list[bytes]:
    """Small photos of each type: without, with one and with too many faces; and broken ones."""
    chance = random.Random(5)
    found = []
    for format_ in ("JPEG", "PNG", "WEBP"):
        for size in ((16, 16), (64, 48), (CROWDED, 40), (8, 8)):
            file = io.BytesIO()
            Image.new("RGB", size, "olive").save(file, format_)
            found.append(file.getvalue())
        whole = bytearray(found[-3])
        found.append(bytes(whole[: len(whole) // 2]))
        whole[chance.randrange(len(whole))] ^= 0x55
        found.append(bytes(whole))
    return found


IMAGES = images()

addresses = st.builds(
    "{}://{}/{}".format,
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z]{1,12}\.(com|org)", fullmatch=True),
    st.from_regex(r"[a-z0-9/]{0,20}(\?[a-z]=[a-z])?", fullmatch=True),
)
photos = st.sampled_from(IMAGES) | st.binary(max_size=64)
for media_type in ("image/jpeg", "image/png", "image/webp", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, photos)


def download(url: str, limits: FetchSettings, max_bytes: int) -> bytes:
    """Hosts as they are: most have a photo, some are down, and some are slow."""
    target = parse_url(url, limits.ports)
    if len(target.host) % 5 == 0:
        raise FetchFailed(f"{target.host} could not be reached")
    if len(target.host) % 7 == 0:
        raise FetchTimedOut(f"{target.host} was too slow")
    return IMAGES[len(url) % 3]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service without its models and without the network."""
    # Else Hypothesis keeps what it computes of Unicode in a folder of the checkout.
    set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))
    chosen = Settings()
    app = create_app(chosen, stub_predictor(chosen))
    answered: list[tuple[str, int]] = []

    @app.after_request
    def count(response: Any) -> Any:
        answered.append((f"{request.method} {request.path}", response.status_code))
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "fetch", download)
        yield app
    tally = {key: answered.count(key) for key in sorted(set(answered))}
    print(f"\n{len(answered)} requests generated:")  # noqa: T201
    for (what, status), times in tally.items():
        if times > 3:
            print(f"{times:7} {status} {what!r:.60}")  # noqa: T201


@pytest.fixture(scope="module")
def contract(quick: Flask) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", quick)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        ("POST", "/predict", GenerationMode.POSITIVE),
        ("POST", "/predict", GenerationMode.NEGATIVE),
        ("GET", "/predict", GenerationMode.POSITIVE),
        ("GET", "/predict", GenerationMode.NEGATIVE),
        # These take nothing that could be wrong.
        ("GET", "/models", GenerationMode.POSITIVE),
        ("GET", "/healthz", GenerationMode.POSITIVE),
        ("GET", "/readyz", GenerationMode.POSITIVE),
        ("GET", "/metrics", GenerationMode.POSITIVE),
        ("GET", "/openapi.json", GenerationMode.POSITIVE),
    ],
)
def test_every_answer_is_one_that_the_contract_has(
    contract: Any, method: str, path: str, mode: GenerationMode
) -> None:
    @settings(max_examples=cases_of(path), **HYPOTHESIS)
    @given(contract[path][method].as_strategy(generation_mode=mode), addresses, st.booleans())
    def ask(case: Any, address: str, ordinary: bool) -> None:
        # Most addresses that are well-formed are still none of a photo.
        if ordinary and method == "GET" and path == "/predict" and mode.is_positive:
            case.query["url"] = address
        answer = case.call()
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code < 500 or answer.status_code in (502, 504)

    ask()
