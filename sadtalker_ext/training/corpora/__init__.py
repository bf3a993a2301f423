"""Raw corpora, each read as its authors publish it."""

from __future__ import annotations

from .base import Corpus, Missing, RawClip
from .biwi import Biwi
from .layout import Layout
from .splits import Splits, read_splits
from .vocaset import Vocaset

__all__ = ["Biwi", "Corpus", "Layout", "Missing", "RawClip", "Splits", "Vocaset", "read_splits"]
