"""Weight files that are not part of the project: known, looked for, checked and fetched."""

# ruff: noqa: F401 - what others take from here
from __future__ import annotations

from typing import TYPE_CHECKING

from ..system.lazy import lazily
from .catalog import CATALOG, Checkpoint, by_engine, by_name, hand_in, pairs
from .contents import DAMAGED, MISSING, PRESENT, UNREADABLE, UNSAFE, WRONG, Contents, Fault, read_contents
from .places import folders, home
from .state import Status, faulty, find, require, status, verify

if TYPE_CHECKING:
    from .downloads import DOWNLOADS, Downloads, Job
    from .transfer import Transfer, download, megabytes

__getattr__ = lazily(
    __name__,
    {"downloads": ["DOWNLOADS", "Downloads", "Job"], "transfer": ["Transfer", "download", "megabytes"]},
)
