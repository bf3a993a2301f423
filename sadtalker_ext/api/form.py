"""A multipart/form-data body, piece by piece, into small texts and files in a folder of ours."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from .replies import Refusal

try:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser
except ImportError:  # the name that it has before release 0.0.13
    from multipart.exceptions import FormParserError  # type: ignore[no-redef]
    from multipart.multipart import MultipartParser  # type: ignore[no-redef]

HEADER_BYTES = 8192  # of one part
TEXT_BYTES = 1 << 20  # of one field that is no file
DISPOSITION = "content-dispositionform-data"  # name and value of a header without the colon
BOUNDARY = re.compile(r'(?:^|;)\s*boundary\s*=\s*(?:"([^"\\]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
PARAMETER = r'(?:;\s*{}\s*=\s*)(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))'
NAME = re.compile(PARAMETER.format("name"), re.IGNORECASE)
FILE_NAME = re.compile(PARAMETER.format("filename"), re.IGNORECASE)


class _EndOfForm(Exception):
    """What comes after the last delimiter is of no interest; old releases would log each byte of it."""


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
        boundary = (found[1] or found[2]).encode("utf-8", "replace")
        callbacks: Any = {
            "on_header_field": self._take_header,
            "on_header_value": self._take_header,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_part,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)
        # We count for all releases; of their own the newer ones would refuse earlier, in other words.
        self._parser.max_header_size = self._parser.max_header_count = sys.maxsize
        self._delimiter = b"\r\n--" + boundary
        self._preamble = bytearray(b"\r\n")  # the first delimiter has no line before it
        self._begun = self._ended = False
        self._headers = bytearray()  # of a part, each as its name and value in one
        self._name = ""
        self._text: bytearray | None = None
        self._file: IO[bytes] | None = None
        self._is_file = False  # the part has a file name

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body."""
        if not self._begun:
            piece = self._without_preamble(piece)
        if self._ended or not piece:
            return
        try:
            self._parser.write(piece)
        except _EndOfForm:
            self._ended = True
        except FormParserError:
            told = "The form is not written as multipart/form-data: its delimiters or headers are broken."
            raise Refusal(400, told) from None

    def _without_preamble(self, piece: bytes) -> bytes:
        """What the parser, which knows neither a preamble nor a form without parts, can begin with."""
        self._preamble += piece
        start = self._preamble.find(self._delimiter)
        end = start + len(self._delimiter)
        if start < 0:
            del self._preamble[: 1 - len(self._delimiter)]
        if start < 0 or len(self._preamble) < end + 2:
            return b""
        self._begun = True
        self._ended = self._preamble.startswith(b"--", end)
        return bytes(self._preamble[start + 2 :])

    def finish(self) -> None:
        """To be called after the last piece; raises `Refusal` (400) where the form was cut short."""
        if not self._ended:
            raise Refusal(400, "The form is cut short or not written as multipart/form-data.")

    def close(self) -> None:
        """Let go of the file that is being written, if any."""
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _end(self) -> None:
        raise _EndOfForm

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._headers += data[start:end]
        if len(self._headers) > HEADER_BYTES:
            raise Refusal(400, "The headers of a part of the form are too long.")

    def _end_header(self) -> None:
        self._headers += b"\r\n"

    def _begin_part(self) -> None:
        lines = self._headers.decode("utf-8", "replace").split("\r\n")
        self._headers.clear()
        line = next((one for one in lines if one.lower().startswith(DISPOSITION)), "")
        name, file_name = NAME.search(line), FILE_NAME.search(line)
        if name is None:
            raise Refusal(400, "A part of the form has no name.")
        self._name = name[1] if name[1] is not None else name[2]
        known = (*self._file_fields, *self._text_fields)
        if self._name not in known:
            raise Refusal(422, f"Unknown field {self._name[:40]!r}; known fields: {', '.join(known)}.")
        self._name = self._key(self._name)
        if self._name in self._text_fields:
            self._text = bytearray()
            return
        self._is_file = file_name is not None
        path = self._folder / self._file_name((file_name[1] or file_name[2] or "") if file_name else "")
        self._file = path.open("xb")
        self.files[self._name] = path

    def _key(self, field: str) -> str:
        """The name of the part that begins, of which there is but one."""
        if field in self.texts or field in self.files:
            raise Refusal(422, f"The field {field} is given twice.")
        return field

    def _file_name(self, given: str) -> str:
        """What the file of this part is called in our folder, whatever it was called before."""
        suffix = SUFFIX.fullmatch(Path(given).suffix.lower())
        return f"{self._name}{suffix[0] if suffix else ''}"

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        elif self._text is not None:
            self._text += data[start:end]
            if len(self._text) > TEXT_BYTES:
                raise Refusal(413, f"The field {self._name} is longer than {TEXT_BYTES} bytes.")

    def _end_part(self) -> None:
        if self._file is not None:
            self._close_file()
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
