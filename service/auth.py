"""Who asks: the API key of a request, and whether its holder may ask now."""

from __future__ import annotations

import math
import re

from flask import Flask, Request, g, request

from pipeline.errors import SettingsError
from pipeline.settings import ROOT
from service.check import LOCAL_CHECK
from service.errors import (
    AmbiguousKey,
    InvalidKey,
    KeyFileError,
    KeysUnavailable,
    MissingKey,
    RateExceeded,
)
from service.keyfile import AuthSettings, KeyFile, find
from service.rates import Rates, share_rates

GUARDED = ("/predict",)
"""Routes that take a key. The others cost next to nothing, and tell nothing of who asks what."""
HEADER = "X-API-Key"

_BEARER = re.compile(r"bearer(?: +(.*))?", re.I | re.S)
# What RFC 6750 lets a token have. Keys of ours have less.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*")


def require_keys(app: Flask, settings: AuthSettings, rates: Rates | None = None) -> None:
    """Let only holders of a key ask routes of GUARDED, as often as their rate allows.

    Sets `g.key_name`. Without `keys_file` everything is open. Raises SettingsError for a file that
    is missing or malformed.
    """
    if not settings.keys_file:
        return
    file = KeyFile(ROOT / settings.keys_file)
    try:
        file.current()
    except KeyFileError as error:
        raise SettingsError(f"[auth] keys_file: {error}") from None
    buckets = rates or share_rates()

    @app.before_request
    def admit() -> None:
        rule = request.url_rule
        if rule is None or rule.rule not in GUARDED or LOCAL_CHECK in request.environ:
            return
        _admit(file, settings.rate, buckets)


def _admit(file: KeyFile, default_rate: int, rates: Rates) -> None:
    offered = offered_key(request)
    try:
        key = find(file.current(), offered)
    except KeyFileError:
        # What is wrong is in the log; it is nothing to a client.
        raise KeysUnavailable("the server cannot tell keys for the moment; try again") from None
    if key is None:
        raise InvalidKey("this key is unknown, or was revoked")
    g.key_name = key.name
    rate = default_rate if key.rate is None else key.rate
    if rate and (seconds := rates.take(key.name, rate)):
        raise RateExceeded(
            f"this key is good for {rate} requests a minute; try again after Retry-After seconds",
            math.ceil(seconds),
        )


def offered_key(asked: Request) -> str:
    """The key that a request brings, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Raises MissingKey, InvalidKey for what cannot be one, and AmbiguousKey.
    """
    bearer = _BEARER.fullmatch(asked.headers.get("Authorization", "").strip())
    offered = {bearer[1] or ""} if bearer else set()
    if HEADER in asked.headers:
        offered.add(asked.headers[HEADER].strip())
    if not offered:
        raise MissingKey(
            "this server asks for a key: send Authorization: Bearer KEY, or X-API-Key: KEY"
        )
    if len(offered) > 1:
        raise AmbiguousKey("Authorization and X-API-Key hold two different keys; send one")
    (key,) = offered
    if not _TOKEN.fullmatch(key):
        raise InvalidKey("what was sent as a key cannot be one")
    return key
