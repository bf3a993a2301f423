"""Corpora into weights: clips prepared from raw data, losses, and the loop that trains on one GPU or many."""

from __future__ import annotations

from .clips import TEST, TRAIN, VALIDATION, ClipCache, ClipRecord
from .prepare import Prepared, prepare

__all__ = ["TEST", "TRAIN", "VALIDATION", "ClipCache", "ClipRecord", "Prepared", "prepare"]
