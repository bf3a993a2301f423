"""The motion of many vertices as a few shapes and their weights over time, with the error that this makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..host import Check, nothing
from ..tracks.rows import slices

MOST_SHAPES = 64
TOLERANCE = 0.0015  # of the head's width: how far any vertex may be off; 0.2 mm on a head of 15 cm
SEEN_FRAMES = 1200  # evenly spread, from which the shapes are made; every frame gets its weights
COLUMNS = 1 << 14  # of the motion that are worked on at once


@dataclass(frozen=True, eq=False)
class FewShapes:
    """ways: float32 (K, V, 3). weights: float32 (T, K) in −1..1. largest_error: of any vertex in any frame,
    in the mesh's units."""

    ways: np.ndarray
    weights: np.ndarray
    largest_error: float


def few_shapes(
    motion: np.ndarray,
    width: float,
    *,
    most: int = MOST_SHAPES,
    tolerance: float = TOLERANCE,
    check: Check = nothing,
) -> FewShapes:
    """The fewest principal shapes of a motion (T, 3V), at most `most`, that are within `tolerance`.

    width: of the head, in the motion's units. Where even `most` shapes are not enough, they are taken all the
    same: `largest_error` says what they are worth. Memory is bounded whatever the length. check: called
    between pieces of work.
    """
    frames = len(motion)
    seen = np.unique(np.linspace(0, frames - 1, min(frames, SEEN_FRAMES)).round().astype(int))
    gram = np.zeros((len(seen), len(seen)))
    for start in range(0, motion.shape[1], COLUMNS):
        check()
        part = np.ascontiguousarray(motion[:, start : start + COLUMNS][seen], np.float64)
        gram += part @ part.T
    power, mixed = np.linalg.eigh(gram)
    order = np.argsort(-power)[: min(most, len(seen))]
    order = order[power[order] > max(power.max(), 0) * 1e-12]
    if len(order) == 0:  # nothing moves
        none = np.zeros((0, motion.shape[1] // 3, 3), np.float32)
        return FewShapes(none, np.zeros((frames, 0), np.float32), 0.0)
    recipe = mixed[:, order] / np.sqrt(power[order])
    shapes = np.zeros((len(order), motion.shape[1]), np.float32)
    for start in range(0, len(seen), 64):
        rows = seen[start : start + 64]
        shapes += (recipe[start : start + 64].T @ motion[rows]).astype(np.float32)
    weights = np.empty((frames, len(order)), np.float32)
    errors = np.zeros(len(order) + 1)
    counts = _tried(len(order))
    for rows_of in slices(*motion.shape):
        check()
        block = np.asarray(motion[rows_of], np.float32)
        weights[rows_of] = block @ shapes.T
        left = block.copy()
        done = 0
        for count in counts:
            left -= weights[rows_of, done:count] @ shapes[done:count]
            done = count
            errors[count] = max(errors[count], float(np.square(left.reshape(len(left), -1, 3)).sum(2).max()))
    enough = [count for count in counts if np.sqrt(errors[count]) <= tolerance * width]
    count = enough[0] if enough else counts[-1]
    scale = np.maximum(np.abs(weights[:, :count]).max(0), 1e-30)
    return FewShapes(
        (shapes[:count] * scale[:, None]).reshape(count, -1, 3),
        weights[:, :count] / scale,
        float(np.sqrt(errors[count])),
    )


def _tried(most: int) -> list[int]:
    """Numbers of shapes whose error is measured."""
    return sorted({count for count in (1, 2, 4, 8, 12, 16, 24, 32, 48) if count < most} | {most})
