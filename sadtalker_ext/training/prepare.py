"""A raw corpus into a cache of clips, with a report of all that is missing, damaged or does not match."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AudioError, TrainingError
from ..host import Check, Report, nothing
from ..tracks import space_named
from .clips import (
    FORMAT,
    SAMPLES_PER_SECOND,
    TRAIN,
    CacheWriter,
    ClipCache,
    ClipRecord,
    CorpusInfo,
    clip_path,
)
from .corpora import Corpus, Missing, RawClip

MISMATCH = 0.15  # seconds between the ends of sound and motion that are reported


@dataclass(frozen=True)
class Prepared:
    """What became of a corpus. clips: how many by split. missing, damaged, mismatched: a sentence each.

    others: names of what belongs to no split.
    """

    cache: ClipCache
    clips: dict[str, int]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    mismatched: tuple[str, ...]
    others: tuple[str, ...]

    def lines(self) -> list[str]:
        """The same in words."""
        info = self.cache.info
        counts = ", ".join(f"{count} {split}" for split, count in self.clips.items())
        seconds = sum(entry.frames for entry in self.cache.entries) / info.fps
        told = [
            f"{self.cache.folder}: {info.name}, {info.dim // 3:,} vertices at {info.fps:g} frames/s; "
            f"clips: {counts}; {seconds / 60:.1f} minutes"
        ]
        if self.others:
            told.append(f"of no split and left out: {len(self.others)}, such as {self.others[0]}")
        told += [f"missing: {sentence}" for sentence in self.missing]
        told += [f"left out as damaged: {sentence}" for sentence in self.damaged]
        return told + [f"does not match: {sentence}" for sentence in self.mismatched]


def prepare(
    corpus: Corpus,
    out: str | Path,
    *,
    half: bool = False,
    drop_mismatched: bool = False,
    overwrite: bool = False,
    report: Report = nothing,
    check: Check = nothing,
) -> Prepared:
    """Writes every clip of a corpus's splits into the folder `out`; goes on where it was interrupted.

    An interrupted preparation with other settings is refused, and discarded by `overwrite`.

    half: motion in 16 bits. drop_mismatched: leave out clips whose sound and motion end more than `MISMATCH`
    seconds apart; else they are kept whole and reported, never cut. check: called before every clip, may
    raise `Cancelled`. Raises `TrainingError` where nothing can be prepared.
    """
    items = list(corpus.clips())
    lacking = [item for item in items if isinstance(item, Missing)]
    missing = tuple(f"{item.subject} {item.sentence}: {item.reason}" for item in lacking)
    found = [item for item in items if isinstance(item, RawClip)]
    if not found:
        why = f" ({missing[0]}, and {len(missing) - 1} more)" if missing else ""
        raise TrainingError(f"No clip of {corpus.name} is there{why}; check the folder.")
    for item in found:
        clip_path(Path(out), item.name)  # before hours of reading
    settings = _settings(corpus, half=half, drop_mismatched=drop_mismatched)
    writer = CacheWriter(out, settings, overwrite=overwrite)
    damaged, mismatched, dropped = [], [], set()
    for number, item in enumerate(found):
        check()
        report(number, len(found))
        entry = writer.done.get(item.name)
        if entry is None:
            try:
                clip = _read(corpus, item)
            except (TrainingError, AudioError) as error:
                damaged.append(f"{item.subject} {item.sentence}: {error}")
                continue
            gap = len(clip.audio) / SAMPLES_PER_SECOND - len(clip.motion) / clip.fps
            if abs(gap) > MISMATCH and drop_mismatched:
                mismatched.append(_mismatch(item, gap) + "; left out")
                dropped.add(item.name)
                continue
            entry = writer.add(clip, half=half)
        if abs(entry.mismatch) > MISMATCH:
            mismatched.append(_mismatch(item, entry.mismatch))
    report(len(found), len(found))
    cache = _finish(corpus, writer)
    counts = Counter(entry.split for entry in cache.entries)
    clips = {name: counts[name] for name in corpus.splits.shares}
    return Prepared(cache, clips, missing, tuple(damaged), tuple(mismatched), tuple(corpus.others()))


def _settings(corpus: Corpus, *, half: bool, drop_mismatched: bool) -> dict[str, Any]:
    """By the names of their flags, all that decides what the clips of a corpus come to."""
    root: Path | None = getattr(corpus, "root", None)
    shares = corpus.splits.shares.items()
    splits = {name: [list(share.subjects), sorted(share.sentences)] for name, share in shares}
    return {
        "format": FORMAT,
        "corpus": type(corpus).__name__,
        "raw folder": None if root is None else str(root.resolve()),
        "space": corpus.space,
        "fps": corpus.fps,
        "step": getattr(corpus, "step", None),
        "norm": getattr(corpus, "norm", None),
        "splits": splits,
        "half": half,
        "drop-mismatched": drop_mismatched,
    }


def _finish(corpus: Corpus, writer: CacheWriter) -> ClipCache:
    trained = {entry.subject for entry in writer.done.values() if entry.split == TRAIN}
    if not trained:
        raise TrainingError(f"{corpus.name} has no clip to train on; check the folder and the splits.")
    used = {entry.subject for entry in writer.done.values()}
    templates = {name: value for name, value in corpus.templates().items() if name in used}
    space = space_named(corpus.space)
    assert space is not None
    notes = {"prepared by": type(corpus).__name__, "norm": getattr(corpus, "norm", "")}
    info = CorpusInfo(corpus.name, corpus.space, corpus.fps, space.dim, corpus.splits.styles, notes)
    return writer.finish(info, templates)


def _read(corpus: Corpus, item: RawClip) -> ClipRecord:
    motion, audio = item.read()
    if not np.isfinite(motion).all():
        raise TrainingError("the motion holds numbers that are not finite.")
    space = space_named(corpus.space)
    if space is None or motion.shape[1] != space.dim:
        raise TrainingError(f"a frame has {motion.shape[1]:,} numbers, which is not {corpus.space}.")
    if len(motion) < 2:
        raise TrainingError("one frame is no motion.")
    split = corpus.splits.of(item.subject, item.sentence)
    assert split is not None
    return ClipRecord(item.name, item.subject, item.sentence, split, corpus.fps, corpus.space, audio, motion)


def _mismatch(item: RawClip, gap: float) -> str:
    longer = "longer" if gap > 0 else "shorter"
    return f"{item.subject} {item.sentence}: the sound is {abs(gap):.2f} s {longer} than the motion"
