"""A multipart/form-data body, piece by piece, into small texts and files in a folder of ours."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import IO

from .replies import Refusal

HEADER_BYTES = 8192  # of one part
PADDING_BYTES = 256  # blanks after a delimiter
TEXT_BYTES = 1 << 20  # of one field that is no file
BOUNDARY = re.compile(r'(?:^|;)\s*boundary\s*=\s*(?:"([^"\\]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
PARAMETER = r'(?:;\s*{}\s*=\s*)(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))'
NAME = re.compile(PARAMETER.format("name"), re.IGNORECASE)
FILE_NAME = re.compile(PARAMETER.format("filename"), re.IGNORECASE)


class _At(Enum):
    PREAMBLE = 1
    DELIMITER = 2
    HEADERS = 3
    DATA = 4
    END = 5


class FormReader:
    """Takes the body as it arrives; `texts` and `files` (a path in `folder` per field) are what it held.

    file_fields, text_fields: names that a part may have, each once. Raises `Refusal` (400, 413, 422) for
    anything else; `close` must be called in the end.
    """

    def __init__(
        self, content_type: str, folder: Path, file_fields: Collection[str], text_fields: Collection[str]
    ) -> None:
        found = BOUNDARY.search(content_type)
        if found is None:
            raise Refusal(400, "The form names no boundary in its Content-Type; let your program set it.")
        self.texts: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        self._folder, self._file_fields, self._text_fields = folder, file_fields, text_fields
        self._delimiter = b"\r\n--" + (found[1] or found[2]).encode("utf-8", "replace")
        self._buffer = bytearray(b"\r\n")  # the first delimiter has no line before it
        self._at = _At.PREAMBLE
        self._name = ""
        self._text: bytearray | None = None
        self._file: IO[bytes] | None = None
        self._is_file = False  # the part has a file name

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._buffer += piece
        steps = {
            _At.PREAMBLE: self._read_data,
            _At.DELIMITER: self._read_delimiter,
            _At.HEADERS: self._read_headers,
            _At.DATA: self._read_data,
        }
        while self._at is not _At.END and steps[self._at]():
            pass
        if self._at is _At.END:
            self._buffer.clear()

    def finish(self) -> None:
        """To be called after the last piece; raises `Refusal` (400) where the form was cut short."""
        if self._at is not _At.END:
            raise Refusal(400, "The form is cut short or not written as multipart/form-data.")

    def close(self) -> None:
        """Let go of the file that is being written, if any."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_data(self) -> bool:
        end = self._buffer.find(self._delimiter)
        # What may be the beginning of a delimiter waits for the next piece.
        count = end if end >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        if self._at is _At.DATA:
            self._take(bytes(self._buffer[:count]))
        if end < 0:
            del self._buffer[:count]
            return False
        del self._buffer[: end + len(self._delimiter)]
        if self._at is _At.DATA:
            self._end_part()
        self._at = _At.DELIMITER
        return True

    def _read_delimiter(self) -> bool:
        if self._buffer.startswith(b"--"):
            self._at = _At.END
            return False
        line = self._buffer.find(b"\r\n", 0, PADDING_BYTES)
        padding = bytes(self._buffer[: PADDING_BYTES if line < 0 else line])
        unfinished = line < 0 and len(self._buffer) < PADDING_BYTES
        if padding.strip(b" \t") not in ((b"", b"-", b"\r") if unfinished else (b"",)):
            raise Refusal(400, "The form is not written as multipart/form-data: its delimiters are broken.")
        if line < 0:
            if not unfinished:
                raise Refusal(400, "The form is not written as multipart/form-data: a delimiter has no end.")
            return False
        del self._buffer[:line]  # the line's end stays: a part may have no headers at all
        self._at = _At.HEADERS
        return True

    def _read_headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end > HEADER_BYTES or (end < 0 and len(self._buffer) > HEADER_BYTES):
            raise Refusal(400, "The headers of a part of the form are too long.")
        if end < 0:
            return False
        self._begin_part(bytes(self._buffer[:end]).decode("utf-8", "replace"))
        del self._buffer[: end + 4]
        self._at = _At.DATA
        return True

    def _begin_part(self, headers: str) -> None:
        line = next((h for h in headers.split("\r\n") if h.lower().startswith("content-disposition:")), "")
        name, file_name = NAME.search(line), FILE_NAME.search(line)
        if name is None:
            raise Refusal(400, "A part of the form has no name.")
        self._name = name[1] if name[1] is not None else name[2]
        if self._name not in (*self._file_fields, *self._text_fields):
            known = ", ".join((*self._file_fields, *self._text_fields))
            raise Refusal(422, f"Unknown field {self._name[:40]!r}; known fields: {known}.")
        if self._name in self.texts or self._name in self.files:
            raise Refusal(422, f"The field {self._name} is given twice.")
        if self._name in self._text_fields:
            self._text = bytearray()
            return
        self._is_file = file_name is not None
        given = (file_name[1] or file_name[2] or "") if file_name else ""
        suffix = SUFFIX.fullmatch(Path(given).suffix.lower())
        path = self._folder / f"{self._name}{suffix[0] if suffix else ''}"
        self._file = path.open("xb")
        self.files[self._name] = path

    def _take(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
        elif self._text is not None:
            self._text += data
            if len(self._text) > TEXT_BYTES:
                raise Refusal(413, f"The field {self._name} is longer than {TEXT_BYTES} bytes.")

    def _end_part(self) -> None:
        if self._file is not None:
            self.close()
            path = self.files[self._name]
            if path.stat().st_size == 0:  # a page's file chooser in which nothing was chosen
                path.unlink()
                del self.files[self._name]
            elif not self._is_file:
                raise Refusal(422, f"Send {self._name} as a file (with a file name), or the request as JSON.")
        elif self._text is not None:
            try:
                self.texts[self._name] = self._text.decode("utf-8")
            except UnicodeDecodeError:
                raise Refusal(422, f"The field {self._name} is not written in UTF-8.") from None
            self._text = None
