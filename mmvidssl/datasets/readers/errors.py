"""What can be wrong with a video file. Every message names the file."""


class VideoError(OSError):
    """A video cannot be read; base class of the errors below."""


class VideoNotFoundError(VideoError, FileNotFoundError):
    """There is no such file."""


class EmptyVideoError(VideoError):
    """The file has no bytes, or no frames."""


class UndecodableVideoError(VideoError):
    """The file is not a video, is damaged, or holds a codec the backend does not know."""
