"""The mean face and the names of its points."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.face import lip_gap, mean, mean_face, topology
from sadtalker_ext.face.mean import MEAN_FACE_FILE


def test_head_coordinates() -> None:
    points = mean_face().points
    assert points.shape == (topology.MESH_POINTS, 3)
    assert points[topology.LEFT_CHEEK, 0] == pytest.approx(0.5, abs=1e-3)
    assert points[topology.RIGHT_CHEEK, 0] == pytest.approx(-0.5, abs=1e-3)
    assert points[topology.CHIN, 1] > points[topology.NOSE_TIP, 1] > points[topology.FOREHEAD, 1]
    assert points[topology.NOSE_TIP, 2] < points[topology.CHIN, 2] < points[topology.LEFT_CHEEK, 2]
    assert lip_gap(points) == 0


def test_symmetric() -> None:
    face = mean_face()
    assert (face.mirror[face.mirror] == np.arange(topology.MESH_POINTS)).all()
    assert np.abs(face.points - face.points[face.mirror] * [-1, 1, 1]).max() < 1e-5
    assert face.mirror[topology.MOUTH_LEFT] == topology.MOUTH_RIGHT
    assert face.mirror[topology.LEFT_EYE_OUTER] == topology.RIGHT_EYE_OUTER
    assert face.mirror[topology.LEFT_IRIS_CENTRE] == topology.RIGHT_IRIS_CENTRE
    assert {int(face.mirror[p]) for p in topology.LEFT_BROW} == set(topology.RIGHT_BROW)


def test_triangles_cover_the_skin_without_openings() -> None:
    face = mean_face()
    used = set(face.triangles.ravel().tolist())
    assert used == set(range(topology.SKIN_POINTS))
    holes = [set(topology.LIPS_INNER), set(topology.LEFT_EYE), set(topology.RIGHT_EYE)]
    assert not any(set(triangle) <= hole for triangle in face.triangles.tolist() for hole in holes)


def test_contours_run_as_they_say() -> None:
    points = mean_face().points
    for line in (
        topology.LIPS_OUTER_UPPER, topology.LIPS_INNER_LOWER, topology.LEFT_EYE_UPPER,
        topology.RIGHT_EYE_LOWER, topology.LEFT_BROW_UPPER, topology.RIGHT_BROW_UPPER,
    ):  # fmt: skip
        assert (np.diff(points[list(line), 0]) > 0).all()
    for ring in (topology.FACE_OVAL, topology.LIPS_OUTER, topology.LEFT_EYE, topology.RIGHT_EYE):
        x, y = points[list(ring), :2].T
        assert len(set(ring)) == len(ring)
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0  # clockwise on screen


def test_irises_lie_in_the_eyes() -> None:
    points = mean_face().points
    for centre, rim, eye in (
        (topology.LEFT_IRIS_CENTRE, topology.LEFT_IRIS_RIM, topology.LEFT_EYE),
        (topology.RIGHT_IRIS_CENTRE, topology.RIGHT_IRIS_RIM, topology.RIGHT_EYE),
    ):
        low, high = points[list(eye), :2].min(0), points[list(eye), :2].max(0)
        assert (low < points[centre, :2]).all()
        assert (points[centre, :2] < high).all()
        radii = np.linalg.norm(points[list(rim), :2] - points[centre, :2], axis=1)
        assert radii.max() < 1.15 * radii.min()


def test_a_damaged_template_is_a_sentence(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "face_template.npz"
    broken.write_bytes(MEAN_FACE_FILE.read_bytes()[:500])
    monkeypatch.setattr(mean, "MEAN_FACE_FILE", broken)
    mean_face.cache_clear()
    try:
        with pytest.raises(WeightsError, match="install the package again"):
            mean_face()
    finally:
        mean_face.cache_clear()
