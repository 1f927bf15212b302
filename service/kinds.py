"""Which kinds of problems there are, by status: the service's own, the framework's and nginx's."""

from __future__ import annotations

from service.problems import STATUS, kind_of

FRAMEWORK = {
    400: ("bad-request",),
    404: ("not-found",),
    405: ("method-not-allowed",),
    413: ("body-too-large",),
    500: ("internal-error",),
}
"""Kinds of problems that are no errors of the service's own, by status."""
NGINX = {
    400: ("bad-request",),
    403: ("forbidden",),
    408: ("request-timeout",),
    411: ("length-required",),
    413: ("body-too-large",),
    414: ("uri-too-long",),
    429: ("too-many-requests", "server-full"),
    431: ("request-header-fields-too-large",),
    501: ("not-implemented",),
    502: ("bad-gateway",),
    503: ("service-unavailable",),
    504: ("gateway-timeout",),
    505: ("http-version-not-supported",),
}
"""Kinds that come from nginx, where it stands before the service (deploy/nginx.conf)."""


def problem_kinds() -> dict[int, tuple[str, ...]]:
    """What the `type` of a problem may end in, by status; the service's own errors first."""
    kinds: dict[int, dict[str, None]] = {}
    for error, status in STATUS.items():
        kinds.setdefault(status.value, {})[kind_of(error)] = None
    for source in (FRAMEWORK, NGINX):
        for code, names in source.items():
            kinds.setdefault(code, {}).update(dict.fromkeys(names))
    return {code: tuple(names) for code, names in sorted(kinds.items())}
