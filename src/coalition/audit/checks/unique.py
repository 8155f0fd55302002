"""Whether any of very many pairs occurs twice, in little memory: sorted into files, and looked at file by file."""

import struct
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any, Final

BUCKETS: Final = 256
BUFFER: Final = 512  # records kept in memory per bucket before they are written
_RECORD: Final = struct.Struct(">16sqq")


class UniquePairs:
    """Pairs of 16 bytes (a request id, whose last byte is random) and a number."""

    def __init__(self) -> None:
        self._buffers: list[bytearray] = [bytearray() for _ in range(BUCKETS)]
        self._files: list[Any] = [None] * BUCKETS

    def add(self, key: bytes, number: int, index: int) -> None:
        """A pair, seen at `index`."""
        bucket = key[15]
        buffer = self._buffers[bucket]
        buffer += _RECORD.pack(key, number, index)
        if len(buffer) >= BUFFER * _RECORD.size:
            if self._files[bucket] is None:
                self._files[bucket] = TemporaryFile()  # noqa: SIM115 - closed by `repeated`
            self._files[bucket].write(buffer)
            buffer.clear()

    def repeated(self) -> Iterator[int]:
        """The index of every occurrence after the first. Ends the object."""
        for buffer, file in zip(self._buffers, self._files, strict=True):
            data = bytes(buffer)
            if file is not None:
                with file:
                    file.seek(0)
                    data = file.read() + data
            seen: set[tuple[bytes, int]] = set()
            for key, number, index in _RECORD.iter_unpack(data):
                if (key, number) in seen:
                    yield index
                seen.add((key, number))
