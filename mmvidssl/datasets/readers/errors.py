"""What can be wrong with a video file. Every message names the file."""


class VideoError(OSError):
    """A video cannot be read; base class of the errors below."""


class VideoNotFoundError(VideoError, FileNotFoundError):
    """There is no such file."""


class EmptyVideoError(VideoError):
    """The file has no bytes, or no frames."""


class UndecodableVideoError(VideoError):
    """The file is not a video, is damaged, or holds a codec the backend does not know."""


class VideoChangedError(VideoError):
    """The file is no longer the one that was looked at first, so that frame numbers would lie."""


class DecodeTimeoutError(VideoError):
    """Nothing came back within the time allowed."""


class DecoderDiedError(VideoError):
    """The process that decoded the file died: a crash of the decoder, or killed for its memory."""
