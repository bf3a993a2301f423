"""A head of vertices that is quietly present: its neck stands still, its face does not."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.mesh import Template
from sadtalker_ext.mesh.presence import browing, swaying
from sadtalker_ext.mesh.retarget import to_arkit
from sadtalker_ext.tracks import FLAME_VERTICES, MotionTrack, vertex_space

POSE = MotionTrack.rest(30, 25.0).with_columns(
    {"headYaw": np.linspace(0, 6, 30), "headPitch": np.linspace(0, 2, 30)}
)


def test_a_template_turns_as_a_whole_above_its_neck() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3)).astype(np.float32)
    points[0], points[1] = (0, -1, 0), (0, 1, 0)
    moved = np.concatenate(list(swaying(Template("a", points, None, "a.obj"), POSE))).reshape(30, -1, 3)
    assert np.abs(moved[0]).max() == 0
    low, high = points[:, 1] < -0.85, points[:, 1] > 0.1
    assert np.abs(moved[:, low]).max() == 0
    assert (np.abs(moved[-1, high]).max(axis=1) > 0.01).mean() > 0.9
    turned = (points + moved[-1])[high]
    before, after = (np.linalg.norm(rows[:-1] - rows[1:], axis=1) for rows in (points[high], turned))
    np.testing.assert_allclose(after, before, rtol=1e-4)  # rigid


def test_the_neutral_head_moves_its_brows() -> None:
    space = vertex_space(FLAME_VERTICES)
    moved = np.concatenate(list(browing(space, POSE)))
    seen = to_arkit(MotionTrack(space, 25.0, moved))
    assert seen.column("browInnerUp")[-1] > 0.03
    assert seen.column("jawOpen").max() < 0.01
