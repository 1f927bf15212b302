"""Every error that the pipeline raises on purpose; the message says what to do about it."""


class AttraiError(Exception):
    """The root of the project's error tree."""


class SettingsError(AttraiError):
    """A setting is unknown, malformed or out of range."""


class ModelError(AttraiError):
    """A model's files are missing, or are not those that its card describes."""


class UnknownModel(AttraiError):
    """No served model bears that name."""


class PhotoError(AttraiError):
    """The photo cannot be used. Grouped by cause below."""


class EmptyPhoto(PhotoError):
    """There is not a single byte."""


class UnknownImageType(PhotoError):
    """The bytes are no image, or one of a type that is not read."""


class PhotoTooLarge(PhotoError):
    """More bytes or pixels than the limits allow; found before any pixel is decoded."""


class PhotoTooSmall(PhotoError):
    """Too few pixels to hold a face."""


class UndecodablePhoto(PhotoError):
    """The header promises an image that the rest of the bytes do not hold."""
