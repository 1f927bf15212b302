"""The service's part of the error tree; which HTTP status each is answered with: problems.py."""

from pipeline.errors import AttraiError


class RequestError(AttraiError):
    """The request itself is at fault. Grouped by cause below."""


class MissingPhoto(RequestError):
    """No photo came with the request."""


class BadOption(RequestError):
    """An option has a value that it cannot have, or is unknown."""


class BodyTooLarge(RequestError):
    """The body is larger than any photo that is accepted."""


class UnsupportedBody(RequestError):
    """The body's Content-Type is none that carries a photo."""


class NotAcceptable(RequestError):
    """The Accept header rules out every format there is."""


class FetchError(AttraiError):
    """The photo behind ?url= could not be had. Grouped by cause below."""


class UrlRefused(FetchError):
    """The address is malformed, or leads where the service must not go."""


class FetchFailed(FetchError):
    """The host could not be reached, or did not answer with a photo."""


class FetchTimedOut(FetchError):
    """The host was too slow."""


class NotReady(AttraiError):
    """The worker has not rated a face yet."""


class AuthError(AttraiError):
    """Who asks may not, or not now. Grouped by cause below."""


class MissingKey(AuthError):
    """The request brings no key, and needs one."""


class InvalidKey(AuthError):
    """The key is unknown, was revoked, or is none."""


class AmbiguousKey(AuthError):
    """The request brings two different keys."""


class RateExceeded(AuthError):
    """The key was used as often as it may be."""

    def __init__(self, message: str, seconds: int) -> None:
        """`seconds` is how long to wait."""
        super().__init__(message)
        self.seconds = seconds


class KeysUnavailable(AuthError):
    """The list of keys cannot be read for now, and so none is accepted."""


class KeyFileError(AttraiError):
    """The file of keys cannot be read, is malformed, or cannot be changed as asked."""
