"""The neutral head's blendshapes mean what the lip convention and ARKit say."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.errors import MeshError, TrackError, WeightsError
from sadtalker_ext.face.mean import mean_face
from sadtalker_ext.mesh import neutral
from sadtalker_ext.mesh.draw import MeshRenderer
from sadtalker_ext.mesh.draw.camera import Camera
from sadtalker_ext.mesh.neutral import HEAD_FILE, neutral_head, shape_weights
from sadtalker_ext.mesh.retarget import FACE_WIDTH, LANDMARKS, SHAPES, _fit, figure_for, to_arkit
from sadtalker_ext.tracks import ARKIT, ARKIT_BLENDSHAPES, BFM, MotionTrack, lips, vertex_space

UPPER, LOWER = 13, 14  # the middle of the inner lips; the head's first vertices are the face mesh's points
NOSE, CHIN = 4, 152


def posed(**columns: float) -> np.ndarray:
    track = MotionTrack.rest(1, 25).with_columns(columns)
    return next(neutral_head().poses(track))


def both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


def gap(vertices: np.ndarray) -> float:
    return float(vertices[UPPER, 1] - vertices[LOWER, 1])


def test_the_file_is_small_and_the_head_whole():
    head = neutral_head()
    assert HEAD_FILE.stat().st_size <= 1_000_000
    assert list(head.blendshapes) == list(ARKIT_BLENDSHAPES)
    assert 2000 <= len(head.vertices) <= 7000
    assert head.faces.min() == 0
    assert head.faces.max() == len(head.vertices) - 1
    assert all(np.abs(way).max() > 0.005 for way in head.blendshapes.values())
    assert all(np.abs(way).max() < 0.35 for way in head.blendshapes.values())
    assert np.isfinite(head.vertices).all()


def test_the_face_is_the_mean_face():
    points = mean_face().points[:468] * [1, -1, -1]
    away = np.linalg.norm(neutral_head().vertices[:468] - points, axis=1)
    assert np.median(away) < 0.006  # fw; smoothing rounds the tip of the nose and the like
    assert away.max() < 0.06


def test_the_head_and_its_ways_are_symmetric():
    head, mirror = neutral_head(), mean_face().mirror[:468]
    across = np.array([-1, 1, 1])
    assert np.abs(head.vertices[:468] - head.vertices[mirror] * across).max() < 0.006
    for name in ("mouthSmile", "browDown", "eyeBlink", "mouthLowerDown", "cheekSquint", "noseSneer"):
        left, right = head.blendshapes[f"{name}Left"][:468], head.blendshapes[f"{name}Right"][:468]
        assert np.abs(left - right[mirror] * across).max() < 0.006, name
    assert np.abs(head.blendshapes["jawOpen"][:468, 0]).max() < 0.012


def test_lips_open_as_the_convention_says():
    rng = np.random.default_rng(0)
    names = ["jawOpen", "mouthClose", *both("mouthUpperUp", 0), *both("mouthLowerDown", 0), "mouthRollLower"]
    data = np.zeros((40, ARKIT.dim), np.float32)
    for name in names:
        data[:, ARKIT.index(name)] = rng.random(40)
    data[:, ARKIT.index("mouthRollLower")] = 0
    data[20:, ARKIT.index("mouthPressLeft")] = data[20:, ARKIT.index("mouthPressRight")] = rng.random(20)
    data[:, ARKIT.index("mouthClose")] *= data[:, ARKIT.index("jawOpen")]
    track = MotionTrack(ARKIT, 25, data)
    shown = np.array([gap(vertices) for vertices in neutral_head().poses(track)]) - gap(posed())
    flat = [neutral_head().blendshapes[name] for name in ("mouthPressLeft", "mouthPressRight")]
    pressing = sum(way[UPPER, 1] - way[LOWER, 1] for way in flat)
    assert abs(pressing) < 0.002
    # Stored to a hundred-thousandth of a face width.
    assert np.abs(shown - lips.opening(track)).max() < 0.002


def test_pressed_lips_are_shut_whatever_the_jaw_does():
    assert abs(gap(posed())) < 2e-3
    assert gap(posed(jawOpen=1)) == pytest.approx(lips.GAP_PER_JAW, abs=2e-3)
    assert abs(gap(posed(jawOpen=1, **both("mouthPress", 1), **both("mouthUpperUp", 1)))) < 4e-3


def test_each_movement_goes_its_way():
    rest = posed()

    def way(vertex: int, **columns: float) -> np.ndarray:
        return posed(**columns)[vertex] - rest[vertex]

    assert way(CHIN, jawOpen=1)[1] < -0.06
    assert way(CHIN, jawLeft=1)[0] > 0.03  # the person's left is the picture's right
    assert way(61, mouthPucker=1)[0] > 0.04
    assert way(291, mouthPucker=1)[0] < -0.04
    assert way(0, mouthFunnel=1)[2] > 0.02
    assert way(291, mouthSmileLeft=1)[1] > 0.02
    assert abs(way(61, mouthSmileLeft=1)[1]) < 0.01
    assert way(291, mouthFrownLeft=1)[1] < -0.02
    assert way(63, browInnerUp=1)[1] < way(107, browInnerUp=1)[1]
    assert way(159, eyeBlinkRight=1)[1] < -0.04
    assert abs(way(386, eyeBlinkRight=1)[1]) < 0.004


def test_a_blink_covers_the_eyeball():
    head = neutral_head()
    vertices = posed(**both("eyeBlink", 1))
    assert np.abs(vertices[159, 1] - vertices[145, 1]) < 0.012
    for eye, lids in (("eye_right", (159, 158, 160)), ("eye_left", (386, 385, 387))):
        ball = head.vertices[head.parts[eye]]
        centre = (ball.max(0) + ball.min(0)) / 2
        centre[2] = ball[:, 2].max() - np.ptp(ball[:, 0]) / 2
        radius = np.ptp(ball[:, 0]) / 2
        for amount in (0.25, 0.5, 0.75, 1):
            moved = posed(**both("eyeBlink", amount))
            assert np.linalg.norm(moved[list(lids)] - centre, axis=1).min() > radius * 0.97


def test_eyes_look_where_they_are_told():
    head = neutral_head()

    def pupil(side: str, **columns: float) -> np.ndarray:
        return posed(**columns)[head.parts[f"eye_{side}"].start]

    for side, outward in (("left", 1), ("right", -1)):
        name, rest = side.capitalize(), pupil(side)
        assert (pupil(side, **{f"eyeLookOut{name}": 1}) - rest)[0] * outward > 0.03
        assert (pupil(side, **{f"eyeLookIn{name}": 1}) - rest)[0] * outward < -0.03
        assert (pupil(side, **{f"eyeLookUp{name}": 1}) - rest)[1] > 0.02
        assert (pupil(side, **{f"eyeLookDown{name}": 1}) - rest)[1] < -0.02


def test_the_head_turns_as_the_track_says_and_the_neck_stays():
    head, rest = neutral_head(), posed()
    low = head.vertices[:, 1] < -1.02
    assert low.sum() > 20
    for columns in ({"headYaw": 20.0}, {"headPitch": 20.0}, {"headRoll": 20.0}):
        assert np.abs(posed(**columns)[low] - rest[low]).max() < 0.01
    assert posed(headYaw=20)[NOSE, 0] > 0.1  # to the picture's right
    assert posed(headPitch=20)[NOSE, 1] > rest[NOSE, 1] + 0.1  # up
    assert posed(headRoll=20)[10, 0] > 0.1  # the forehead goes clockwise


def test_the_mouth_shows_teeth_and_a_dark_inside():
    size = 160
    track = MotionTrack.rest(2, 25).with_columns({"jawOpen": np.array([0, 1]), **both("mouthUpperUp", 0.8)})
    shut = MotionTrack.rest(1, 25)
    renderer = MeshRenderer(neutral_head(), size=size, workers=1)
    (closed,), (_, opened) = renderer.render(shut), renderer.render(track)
    camera = Camera.before(neutral_head().vertices, renderer.size, bust=True)
    mouth = camera.project(posed(jawOpen=1)[[UPPER, LOWER]]).mean(1)
    x, y = int(mouth[0]), int(mouth[1])
    assert opened[y - 1 : y + 2, x - 2 : x + 3].mean() < 0.4 * closed[y - 1 : y + 2, x - 2 : x + 3].mean()
    top = camera.project(posed(jawOpen=1, **both("mouthUpperUp", 0.8))[[UPPER]])
    teeth = opened[int(top[1, 0]) + 1 : int(top[1, 0]) + 4, x - 4 : x + 5].mean(2)
    assert teeth.max() > 90
    still = size // 4
    assert np.abs(closed[:still].astype(int) - opened[:still]).max() <= 2


def test_a_damaged_file_is_a_sentence(monkeypatch, tmp_path):
    bad = tmp_path / "neutral_head.npz"
    bad.write_bytes(b"no zip")
    monkeypatch.setattr(neutral, "HEAD_FILE", bad)
    with pytest.raises(WeightsError, match="install the package again"):
        neutral_head.__wrapped__()


def test_other_motion_is_refused():
    with pytest.raises(TrackError, match="bfm"):
        shape_weights(MotionTrack.rest(1, 25, BFM))
    with pytest.raises(MeshError, match="--template"):
        figure_for(vertex_space(12))
    with pytest.raises(MeshError, match="--engine instant"):
        to_arkit(MotionTrack.rest(1, 25, BFM))


# --- the motion of other heads


def of_other_head(space: str, columns: dict[str, float]) -> MotionTrack:
    """A motion of FLAME's or BIWI's landmarks alike the neutral head's."""
    head, fit = neutral_head(), _fit(space)
    own = [landmark[0] for landmark in LANDMARKS]
    vertices = {"flame": 5023, "biwi": 23370}[space]
    data = np.zeros((2, vertices, 3), np.float32)
    data[1, fit.vertices] = sum(
        amount * head.blendshapes[name][own] * FACE_WIDTH[space] for name, amount in columns.items()
    )
    return MotionTrack(vertex_space(vertices), 30, data.reshape(2, -1))


@pytest.mark.parametrize("space", ["flame", "biwi"])
@pytest.mark.parametrize(
    "columns",
    [{"jawOpen": 0.7}, {"mouthPucker": 0.8}, {"jawOpen": 0.5, "mouthClose": 0.5}, both("mouthSmile", 0.8)],
)
def test_other_heads_motion_is_recognised(space, columns):
    found = to_arkit(of_other_head(space, columns))
    assert found.space == ARKIT
    assert found.fps == 30
    assert np.abs(found.data[0]).max() == 0
    weights = dict(zip(ARKIT.columns, found.data[1], strict=True))
    for name, amount in columns.items():
        assert weights[name] == pytest.approx(amount, abs=0.15), name
    shown = next(neutral_head().poses(MotionTrack(ARKIT, 30, found.data[1:])))
    wanted = neutral_head().posed(np.array([columns.get(name, 0) for name in ARKIT_BLENDSHAPES], np.float32))
    lip_points = [landmark[0] for landmark in LANDMARKS[:34]]
    assert np.linalg.norm((shown - wanted)[lip_points], axis=1).max() < 0.012


def test_a_shift_of_the_whole_head_is_no_expression():
    data = np.tile(np.array([0.01, -0.02, 0.005], np.float32), (1, 5023, 1)).reshape(1, -1)
    found = to_arkit(MotionTrack(vertex_space(5023), 30, data))
    assert np.abs(found.data).max() < 1e-3


def test_the_figure_moves_as_the_coefficients_say():
    track = of_other_head("flame", {"jawOpen": 0.6})
    poses = list(figure_for(track.space).poses(track))
    weights = to_arkit(track).data[1, : len(ARKIT_BLENDSHAPES)]
    assert len(poses) == 2
    assert np.allclose(poses[1], neutral_head().posed(weights), atol=1e-6)
    assert to_arkit(MotionTrack.rest(1, 25)).space == ARKIT
    assert set(SHAPES) < set(ARKIT_BLENDSHAPES)
    with pytest.raises(TrackError, match="flame"):
        next(figure_for(track.space).poses(MotionTrack.rest(1, 25)))
