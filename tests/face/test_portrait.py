"""Choosing the face, five points by hand, the preview picture, and the sentences when that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.errors import FaceNotFoundError, OutputError, PictureError
from sadtalker_ext.face import (  # fmt: skip
    Face,
    draw_faces,
    face_from_points,
    head_pose,
    lip_gap,
    load_portrait,
    save_picture,
    save_preview,
    topology,
)
from sadtalker_ext.face.points import lift, lift_turned

pytest.importorskip("mediapipe")
cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def three(demo_portrait: Path) -> np.ndarray:
    """Three copies of the demo portrait's head, the largest in the middle."""
    portrait = load_portrait(demo_portrait)
    x0, y0, x1, y1 = (round(v) for v in portrait.face.box)
    head = portrait.image[max(0, y0 - 40) : y1 + 40, x0 - 40 : x1 + 40]
    image = np.full((400, 900, 3), 100, np.uint8)
    for left, tall in ((30, 180), (300, 300), (660, 220)):
        wide = round(head.shape[1] * tall / head.shape[0])
        image[50 : 50 + tall, left : left + wide] = cv2.resize(head, (wide, tall))
    return image


def test_the_largest_is_chosen_and_number_one(three: np.ndarray) -> None:
    portrait = load_portrait(three)
    assert len(portrait.faces) == 3
    assert portrait.face is portrait.faces[0]
    assert 300 < portrait.face.centre[0] < 600
    assert (portrait.image == three).all()
    assert (portrait.width, portrait.height, portrait.alpha) == (900, 400, None)


def test_choosing_by_number_and_by_point(three: np.ndarray) -> None:
    assert load_portrait(three, face=2).face.centre[0] > 650
    assert load_portrait(three, face=3).face.centre[0] < 250
    assert load_portrait(three, face_at=(100, 140)).face.centre[0] < 250
    assert load_portrait(three, face_at=(899, 399)).face.centre[0] > 650  # near it, not on it


def test_a_portrait_is_taken_as_it_is_or_searched_again(three: np.ndarray) -> None:
    portrait = load_portrait(three, face=3)
    assert load_portrait(portrait) is portrait
    again = load_portrait(portrait, face=2)
    assert again.picture is portrait.picture
    assert again.face.centre[0] > 650


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_number_that_no_face_has(three: np.ndarray, number: int) -> None:
    with pytest.raises(FaceNotFoundError, match="1 to 3"):
        load_portrait(three, face=number)


def test_a_point_outside_the_picture(three: np.ndarray) -> None:
    with pytest.raises(FaceNotFoundError, match="900x400"):
        load_portrait(three, face_at=(901, 10))


def test_no_face_names_the_five_point_way(tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    Image.new("RGB", (200, 200), (120, 110, 100)).save(path)
    with pytest.raises(FaceNotFoundError, match=r"No face was found in wall\.png.*--points"):
        load_portrait(path)


def five_points(landmarks: np.ndarray) -> list[tuple[float, float]]:
    means = [landmarks[list(group), :2].mean(0) for group in topology.FIVE_POINTS]
    return [(float(x), float(y)) for x, y in means]


def test_five_points_give_nearly_the_mesh_that_detection_gives(demo_portrait: Path) -> None:
    found = load_portrait(demo_portrait)
    given = load_portrait(demo_portrait, points=five_points(found.face.landmarks))
    assert given.face.source == "points"
    assert given.faces == (given.face,)
    away = np.linalg.norm((given.face.landmarks - found.face.landmarks)[:, :2], axis=1) / found.face.size
    assert np.median(away) < 0.025
    assert away.max() < 0.13  # the demo face smiles with open lips, the mean face does not


def test_five_points_are_met_exactly() -> None:
    upright = np.array([(210.0, 190.0), (300.0, 190.0), (258.0, 250.0), (222.0, 292.0), (292.0, 292.0)])
    matrix = cv2.getRotationMatrix2D((255, 240), -10, 1.0)
    points = upright @ matrix[:, :2].T + matrix[:, 2]
    face = face_from_points(points.tolist(), 512, 512)
    assert np.abs(np.array(five_points(face.landmarks)) - points).max() < 0.05
    assert head_pose(face.landmarks)[2] == pytest.approx(10, abs=1)


def test_points_are_those_of_the_picture_as_it_was_given(tmp_path: Path) -> None:
    """Not of the smaller one that is worked on: users read them off their own picture."""
    points = [(1200.0, 1000.0), (2800.0, 1000.0), (2000.0, 2000.0), (1500.0, 2600.0), (2500.0, 2600.0)]
    path, turned = tmp_path / "large.jpg", tmp_path / "turned.jpg"
    picture = Image.new("RGB", (4000, 3600), (90, 120, 90))
    picture.save(path)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    picture.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    for source in (path, turned, picture, np.asarray(picture)):
        portrait = load_portrait(source, points=points)
        scale = portrait.width / 4000
        assert scale < 0.95
        assert np.abs(np.array(five_points(portrait.face.landmarks)) / scale - points).max() < 0.5
    with pytest.raises(FaceNotFoundError, match="4000x3600"):
        load_portrait(path, points=[(x + 2000, y) for x, y in points])


def test_five_points_work_upside_down_and_with_the_persons_own_left_and_right() -> None:
    points = [(210.0, 190.0), (300.0, 190.0), (255.0, 250.0), (220.0, 296.0), (290.0, 296.0)]
    face = face_from_points(points, 512, 512)
    swapped = face_from_points([points[k] for k in (1, 0, 2, 4, 3)], 512, 512)
    assert (swapped.landmarks == face.landmarks).all()
    turned = face_from_points([(512 - x, 512 - y) for x, y in points], 512, 512)
    assert np.abs(512 - turned.landmarks[:, :2] - face.landmarks[:, :2]).max() < 0.01


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ([(1, 2)], "Five points"),
        ([(10, 10)] * 5, "too close"),
        ([(10, 10), (90, 10), (50, 50), (20, 80), (280, 80)], "outside"),
        ([(10, 10), (90, 10), (50, 50), (90, 90), (10, 90)], "order"),
        ([(10, 10), (90, 90), (50, 50), (100, 100), (140, 140)], "do not form a face"),
        ([(10, 10), ("a", 10), (50, 50), (20, 80), (80, 80)], "numbers"),
        ([(10, 10), (float("nan"), 10), (50, 50), (20, 80), (80, 80)], "Five points"),
    ],
)
def test_five_points_that_are_no_face(points: list[tuple[float, float]], sentence: str) -> None:
    with pytest.raises(FaceNotFoundError, match=sentence):
        face_from_points(points, 200, 200)


def test_lifting_sixty_eight_points_keeps_pose_and_lips(demo_portrait: Path) -> None:
    found = load_portrait(demo_portrait).face
    known = found.landmarks[list(topology.IBUG_68), :2].astype(np.float64)
    mesh = lift_turned([(index,) for index in topology.IBUG_68], known)
    away = np.linalg.norm(mesh[:, :2] - found.landmarks[:, :2], axis=1) / found.size
    assert np.median(away) < 0.006
    assert lip_gap(mesh) == pytest.approx(lip_gap(found.landmarks), abs=0.005)
    assert head_pose(mesh) == pytest.approx(head_pose(found.landmarks), abs=4)


def test_lifting_finds_a_turned_head() -> None:
    from sadtalker_ext.face import mean_face
    from sadtalker_ext.face.geometry import rotation_from_pose

    turned = mean_face().points @ rotation_from_pose(25, -10, 15).T * 150 + [200, 200, 0]
    groups = [(index,) for index in topology.IBUG_68]
    mesh = lift_turned(groups, turned[list(topology.IBUG_68), :2])
    assert np.abs(mesh[:, :2] - turned[:, :2]).max() < 0.5
    assert head_pose(mesh) == pytest.approx((25, -10, 15), abs=0.5)
    flat = lift(groups, mean_face().points[list(topology.IBUG_68), :2] * 100)
    assert np.abs(flat[:, :2] - mean_face().points[:, :2] * 100).max() < 0.5


def test_preview_marks_every_face_and_the_chosen_ones_mesh(three: np.ndarray) -> None:
    portrait = load_portrait(three, face=2)
    drawn = draw_faces(portrait, portrait.faces, portrait.face)
    assert drawn.shape == three.shape
    assert drawn.dtype == np.uint8
    changed = (drawn != three).any(2)
    per_face = []
    for face in portrait.faces:
        x0, y0, x1, y1 = (round(v) for v in face.box)
        assert changed[max(0, y0 - 40) : y1 + 40, max(0, x0 - 40) : x1 + 40].any()
        per_face.append(changed[y0:y1, x0:x1].mean())
    assert per_face[1] > 3 * max(per_face[0], per_face[2])
    assert (draw_faces(three, portrait.faces, 2) == drawn).all()
    assert (draw_faces(three, [], None) == three).all()


def test_saving_pictures(three: np.ndarray, tmp_path: Path) -> None:
    portrait = load_portrait(three)
    path = save_preview(portrait, tmp_path / "faces.png")
    assert np.asarray(Image.open(path)).shape == three.shape
    with pytest.raises(OutputError, match="--overwrite"):
        save_preview(portrait, path)
    save_preview(portrait, path, overwrite=True)
    assert save_picture(np.dstack([three, three[:, :, 0]]), tmp_path / "cut.jpg").exists()
    with pytest.raises(OutputError, match=r"\.png"):
        save_picture(three, tmp_path / "faces.txt")
    with pytest.raises(OutputError, match="does not exist"):
        save_picture(three, tmp_path / "nowhere" / "faces.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.jpg", "faces.png"]


@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
def test_the_first_frame_with_a_face_speaks(demo_portrait: Path, tmp_path: Path, extension: str) -> None:
    with Image.open(demo_portrait) as image:
        photo = image.convert("RGB").resize((256, 256))
    wall = Image.effect_noise((256, 256), 60).convert("RGB")
    path = tmp_path / f"moving.{extension}"
    wall.save(path, save_all=True, append_images=[photo, wall], duration=80, loop=0)
    found = load_portrait(path)
    alone = load_portrait(photo)
    assert np.linalg.norm(np.subtract(found.face.centre, alone.face.centre)) < 3
    assert found.notices == (
        f"moving.{extension} is an animation whose first frame shows no face; its frame 2 is used.",
    )


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch, portrait_face: Face) -> None:
    """Instead of a search, a face in each bright picture."""

    def look(image: np.ndarray, **settings: Any) -> list[Face]:
        return [portrait_face] if image.mean() > 180 else []

    monkeypatch.setattr("sadtalker_ext.face.portrait.find_faces", look)


@pytest.fixture(scope="module")
def portrait_face() -> Face:
    return face_from_points([(100, 100), (156, 100), (128, 130), (106, 160), (150, 160)], 256, 256)


@pytest.mark.usefixtures("bright")
@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
def test_every_way_in_takes_the_same_frame(tmp_path: Path, extension: str) -> None:
    """Command line, library, preview, points: of a title card, a blank frame, another card, and a face."""
    pytest.importorskip("starlette")
    from sadtalker_ext.api.catalogue import find_faces_in
    from sadtalker_ext.api.limits import Limits

    path = tmp_path / f"moving.{extension}"
    rng = np.random.default_rng(4)
    tops = (150, 1, 90, 255, 150)
    card, *others = (
        Image.fromarray(rng.integers(150 if top == 255 else 0, top, (256, 256, 3), np.uint8)) for top in tops
    )
    card.save(path, save_all=True, append_images=others, duration=80, loop=0)
    animated = load_portrait(path)
    with Image.open(path) as opened:
        given = load_portrait(opened)
    assert (given.image == animated.image).all()
    assert animated.image.mean() > 180
    assert "first frame shows no face; its frame 4 is used." in given.notices[0]
    shown = find_faces_in(path, None, Limits())
    assert len(shown["faces"]) == 1
    assert shown["notices"] == list(animated.picture.notices)
    by_hand = load_portrait(path, points=shown["faces"][0]["points"])
    assert (by_hand.image == animated.image).all()


@pytest.mark.usefixtures("bright")
@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tiff"])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 0.95])
def test_a_damaged_animation_without_any_face_is_refused(
    tmp_path: Path, extension: str, share: float
) -> None:
    path = tmp_path / f"cut.{extension}"
    rng = np.random.default_rng(2)
    first, *others = (Image.fromarray(rng.integers(0, 255, (96, 96, 3), np.uint8)) for _ in range(4))
    first.save(path, save_all=True, append_images=others)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PictureError, match="No face" if extension != "webp" else "No face|cannot be opened"):
        load_portrait(path)


def test_an_animation_without_any_face_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (96, 96), colour) for colour in ("red", "green", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80)
    with pytest.raises(FaceNotFoundError, match="No face"):
        load_portrait(path)
