"""A coarse mesh into a finer, smoother one (Loop 1987), as a matrix for anything given at vertices."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix


def loop_subdivision(count: int, faces: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
    """Matrix (V', V) from the `count` coarse vertices to the fine ones, and the fine triangles (4 F, 3).

    Borders are smoothed along themselves alone, so that the rims of openings keep their place.
    """
    edges: dict[tuple[int, int], list[int]] = {}
    for a, b, c in faces.tolist():
        for one, two, opposite in ((a, b, c), (b, c, a), (c, a, b)):
            edges.setdefault((min(one, two), max(one, two)), []).append(opposite)
    number = {edge: count + k for k, edge in enumerate(edges)}
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []

    def add(row: int, column: int, weight: float) -> None:
        rows.append(row)
        columns.append(column)
        weights.append(weight)

    around: list[set[int]] = [set() for _ in range(count)]
    border: list[list[int]] = [[] for _ in range(count)]
    for (a, b), opposite in edges.items():
        row = number[a, b]
        around[a].add(b)
        around[b].add(a)
        if len(opposite) == 2:
            for vertex, weight in ((a, 3 / 8), (b, 3 / 8), (opposite[0], 1 / 8), (opposite[1], 1 / 8)):
                add(row, vertex, weight)
        else:
            border[a].append(b)
            border[b].append(a)
            add(row, a, 1 / 2)
            add(row, b, 1 / 2)
    for vertex in range(count):
        if len(border[vertex]) == 2:
            add(vertex, vertex, 3 / 4)
            for other in border[vertex]:
                add(vertex, other, 1 / 8)
        elif border[vertex] or not around[vertex]:
            add(vertex, vertex, 1)
        else:
            degree = len(around[vertex])
            share = (5 / 8 - (3 / 8 + np.cos(2 * np.pi / degree) / 4) ** 2) / degree
            add(vertex, vertex, 1 - degree * share)
            for other in around[vertex]:
                add(vertex, other, share)
    fine = []
    for a, b, c in faces.tolist():
        ab, bc, ca = (number[min(p, q), max(p, q)] for p, q in ((a, b), (b, c), (c, a)))
        fine += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    matrix = csr_matrix((weights, (rows, columns)), shape=(count + len(edges), count))
    return matrix, np.array(fine)


def laplacian(count: int, faces: np.ndarray) -> csr_matrix:
    """Difference (count, count) of each vertex from the mean of its neighbours."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    joined = csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    degree = np.maximum(np.asarray(joined.sum(1)).reshape(-1), 1)
    return (
        csr_matrix((np.ones(count), (range(count), range(count))))
        - csr_matrix((1 / degree, (range(count), range(count)))) @ joined
    )
