"""Which clips train, validate and test: by subject and sentence, as published or as a user says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ...errors import TrainingError
from ...system.foreign import JSON_BYTES, parse_json, read_file
from ..clips import TEST, TRAIN, VALIDATION

FEWEST_SENTENCES = 3  # one for each split
HELD_OUT_SHARE = 0.1  # of the sentences, for validation and as many for the test


@dataclass(frozen=True)
class Share:
    """Clips of these subjects (in the order of their style indices) that say these sentences."""

    subjects: tuple[str, ...]
    sentences: frozenset[str]


@dataclass(frozen=True)
class Splits:
    """Shares by the name of their split. A clip belongs to the first that holds it, or to none."""

    shares: Mapping[str, Share]

    def of(self, subject: str, sentence: str) -> str | None:
        """The split of a clip; None where it is left out."""
        for name, share in self.shares.items():
            if subject in share.subjects and sentence in share.sentences:
                return name
        return None

    @property
    def styles(self) -> tuple[str, ...]:
        """Subjects that are trained on, in the order of their style indices."""
        return self.shares[TRAIN].subjects

    def expected(self) -> Iterable[tuple[str, str]]:
        """Every subject and sentence that a complete corpus would have."""
        for share in self.shares.values():
            for subject in share.subjects:
                for sentence in sorted(share.sentences):
                    yield subject, sentence


def _numbers(first: int, last: int) -> frozenset[str]:
    return frozenset(f"{number:02d}" for number in range(first, last + 1))


def _faces(*names: str) -> tuple[str, ...]:
    return tuple(f"FaceTalk_{name}_TA" for name in names)


# As published with FaceFormer and CodeTalker; the order of the training subjects is that of their styles.
_VOCASET_SEEN = _faces(
    "170728_03272", "170904_00128", "170725_00137", "170915_00223",
    "170811_03274", "170913_03279", "170904_03276", "170912_03278",
)  # fmt: skip
VOCASET = Splits(MappingProxyType({
    TRAIN: Share(_VOCASET_SEEN, _numbers(1, 40)),
    VALIDATION: Share(_faces("170811_03275", "170908_03277"), _numbers(21, 40)),
    TEST: Share(_faces("170809_00138", "170731_00024"), _numbers(21, 40)),
}))  # fmt: skip
_BIWI_SEEN = ("F2", "F3", "F4", "M3", "M4", "M5")
_BIWI_UNSEEN = ("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6")
UNSEEN_TEST = "test-unseen"  # BIWI-Test-B: subjects that nobody trained on
BIWI = Splits(MappingProxyType({
    TRAIN: Share(_BIWI_SEEN, _numbers(1, 32)),
    VALIDATION: Share(_BIWI_SEEN, _numbers(33, 36)),
    TEST: Share(_BIWI_SEEN, _numbers(37, 40)),
    UNSEEN_TEST: Share(_BIWI_UNSEEN, _numbers(37, 40)),
}))  # fmt: skip


def by_sentence(subjects: Sequence[str], sentences: Iterable[str]) -> Splits:
    """Splits for a corpus without published ones: all subjects, the last sentences held out.

    A tenth of the sentences, one at least, is for validation, and as much for the test. Raises
    `TrainingError` where there are too few.
    """
    ordered = sorted(set(sentences))
    if len(ordered) < FEWEST_SENTENCES:
        raise TrainingError(
            f"{len(ordered)} different sentences are too few to hold some out; record {FEWEST_SENTENCES} at "
            "least, or say by --splits which clips are for what."
        )
    held = max(1, round(HELD_OUT_SHARE * len(ordered)))
    groups = {TRAIN: ordered[: -2 * held], VALIDATION: ordered[-2 * held : -held], TEST: ordered[-held:]}
    return Splits({name: Share(tuple(sorted(subjects)), frozenset(group)) for name, group in groups.items()})


def read_splits(path: Path) -> Splits:
    """Splits from a JSON file: {"train": {"subjects": ["A", "B"], "sentences": ["01", "02"]}, …}.

    Raises `TrainingError` where the file says something else, or has no "train".
    """
    try:
        told = parse_json(read_file(path, JSON_BYTES))
        shares = {
            str(name): Share(
                tuple(map(str, share["subjects"])), frozenset(str(item) for item in share["sentences"])
            )
            for name, share in told.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrainingError(
            f"{path} is no description of splits ({type(error).__name__}: {error}); it should read "
            '{"train": {"subjects": […], "sentences": […]}, "validation": …, "test": …}.'
        ) from error
    if TRAIN not in shares or not shares[TRAIN].subjects:
        raise TrainingError(f"{path} names nobody to train on; it needs a split called “{TRAIN}”.")
    return Splits(shares)
