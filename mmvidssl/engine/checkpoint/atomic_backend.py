"""Files that are whole or not there."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmvidssl.utils.atomic_file import atomic_path


class AtomicBackend(LocalBackend):
    """MMEngine's local file backend, which writes to a temporary name, syncs and renames.

    A run that is killed while it saves leaves the previous file under the name, never a half one.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``.

        Raises:
            OSError: names the file and the reason (a full disk, say); nothing is left behind.
        """
        try:
            with atomic_path(filepath) as temporary:
                temporary.write_bytes(obj)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(
                error.errno,
                f'could not write {filepath} ({reason}); no half file is left under that name',
            ) from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write a text, likewise."""
        self.put(obj.encode(encoding), filepath)


register_backend('atomic', AtomicBackend, force=True)
