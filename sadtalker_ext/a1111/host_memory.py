"""The host's image model leaves the device while a video is made, and comes back as the host expects it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..system import caches

log = logging.getLogger(__name__)

# Forge and reForge manage memory in a module of their own, and load what they miss when they next need it.
MANAGERS = ("backend.memory_management", "ldm_patched.modules.model_management")


@contextmanager
def checkpoint_away() -> Iterator[None]:
    """Within it the host's image model is off the device; a failure to move it is logged, and no more.

    A1111 gets its model back at the end. SD.Next moves its models itself: nothing is done there.
    """
    model = None
    try:
        model = _send_away()
    except Exception:  # another program's memory management; a video can be made without its help
        log.warning("The checkpoint could not be unloaded", exc_info=True)
    try:
        yield
    finally:
        if model is not None:
            try:
                _bring_back(model)
            except Exception:  # as above: the host loads what it needs when it needs it
                log.warning("The checkpoint could not be moved back", exc_info=True)


def hand_back(keep_models: bool) -> None:
    """Give the device's unused memory back; unless `keep_models`, forget prepared portraits too."""
    if not keep_models:
        caches.release()
    try:
        from modules import devices

        devices.torch_gc()
    except Exception:  # a driver's trouble must not turn a finished video into an error
        log.warning("The device's memory could not be freed", exc_info=True)


def _send_away() -> Any:
    """The model that `_bring_back` has to move back, or None."""
    for name in MANAGERS:
        manager = sys.modules.get(name)
        if hasattr(manager, "unload_all_models"):
            manager.unload_all_models()  # type: ignore[union-attr]
            return None
    from modules import sd_models

    # Not shared.sd_model, which would load a model in order to unload it.
    model = getattr(sd_models.model_data, "sd_model", None)
    if model is None or not hasattr(sd_models, "send_model_to_cpu"):
        return None
    if not hasattr(sd_models, "send_model_to_device"):
        return None
    sd_models.send_model_to_cpu(model)
    return model


def _bring_back(model: Any) -> None:
    from modules import sd_models

    if sd_models.model_data.sd_model is model:
        sd_models.send_model_to_device(model)
