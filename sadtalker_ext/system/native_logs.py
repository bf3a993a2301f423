"""Native libraries that announce themselves on standard error into silence, real messages let through."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from . import interrupts

LOG_LEVEL = "GLOG_minloglevel"
# Lines that mediapipe's native libraries write although nothing is wrong.
NOISE: tuple[bytes, ...] = (
    b"TensorFlow Lite XNNPACK delegate",
    b"inference_feedback_manager",
    b"landmark_projection_calculator",
    b"All log messages before absl",
)


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Gives the native log library a higher threshold while it loads, and the environment back after.

    Matplotlib, which mediapipe loads and we do not use, says much about a home that cannot be written.
    """
    before, plots = os.environ.get(LOG_LEVEL), logging.getLogger("matplotlib")
    os.environ[LOG_LEVEL] = "2"
    level = plots.level
    plots.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        plots.setLevel(level)
        if before is None:
            os.environ.pop(LOG_LEVEL, None)
        else:
            os.environ[LOG_LEVEL] = before


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back the process's stderr for a moment and passes on all but the announcements in `NOISE`."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, AttributeError, ValueError):
        yield  # no usable stderr (a windowed host): nothing to keep quiet
        return
    with tempfile.TemporaryFile() as held:
        interrupts.error_descriptor = saved
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            interrupts.error_descriptor = 2
            os.close(saved)
            held.seek(0)
            for line in held.read().splitlines(keepends=True):
                if not any(noise in line for noise in NOISE):
                    os.write(2, line)
