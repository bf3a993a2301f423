"""Finding faces: the direct look, small, many, dark and turned faces, and what is no face."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.errors import DependencyError, OptionsError
from sadtalker_ext.face import Face, find_faces, head_pose, load_picture, load_portrait, topology
from sadtalker_ext.face.faces import distinct, face_from_landmarks, is_plausible, overlap
from sadtalker_ext.system import caches

pytest.importorskip("mediapipe")
cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def photo(demo_portrait: Path) -> np.ndarray:
    return load_picture(demo_portrait).image


@pytest.fixture(scope="module")
def face(photo: np.ndarray) -> Face:
    faces = find_faces(photo)
    assert len(faces) == 1
    return faces[0]


@pytest.fixture(scope="module")
def head(photo: np.ndarray, face: Face) -> np.ndarray:
    x0, y0, x1, y1 = (round(v) for v in face.box)
    air = (y1 - y0) // 3
    return photo[max(0, y0 - air) : y1 + air, max(0, x0 - air) : x1 + air]


def scene(head: np.ndarray, width: int, height: int, places: list[tuple[int, int, int]]) -> np.ndarray:
    """Heads pasted onto a patterned ground: (x, y, height in pixels) each."""
    ground = np.full((height, width, 3), 90, np.uint8)
    ground[:, :, 0] = 120 + 60 * np.sin(np.arange(width) / 37)
    ground[:, :, 1] = 110 + 50 * np.sin(np.arange(height) / 23)[:, None]
    for left, top, tall in places:
        wide = round(head.shape[1] * tall / head.shape[0])
        ground[top : top + tall, left : left + wide] = cv2.resize(
            head, (wide, tall), interpolation=cv2.INTER_AREA
        )
    return ground


def apart(a: np.ndarray, b: np.ndarray, face: Face) -> float:
    """Mean distance of two meshes in shares of the face's size."""
    return float(np.linalg.norm(a[:, :2] - b[:, :2], axis=1).mean() / face.size)


def test_the_demo_face(face: Face, photo: np.ndarray) -> None:
    assert face.source == "mediapipe"
    assert face.landmarks.shape == (topology.MESH_POINTS, 3)
    assert face.landmarks.dtype == np.float32
    assert face.score > 0.7
    eyes = face.landmarks[[topology.RIGHT_IRIS_CENTRE, topology.LEFT_IRIS_CENTRE]]
    assert eyes[0, 0] < eyes[1, 0]
    assert face.contains(*eyes[0, :2])
    # The pupils are dark and the skin between the brows is not.
    for x, y, _ in eyes:
        assert (
            photo[round(y), round(x)].mean()
            < 0.7 * photo[round(eyes[0, 1] - 12), round(eyes[:, 0].mean())].mean()
        )


def test_meshes_follow_the_picture(photo: np.ndarray, face: Face) -> None:
    matrix = cv2.getRotationMatrix2D(face.centre, -20, 1.3)  # OpenCV's positive angles turn against the clock
    moved = cv2.warpAffine(photo, matrix, (512, 512), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    found = find_faces(moved)[0]
    expected = face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    assert apart(found.landmarks, expected, found) < 0.012
    assert head_pose(found.landmarks)[2] - head_pose(face.landmarks)[2] == pytest.approx(20, abs=1.5)


def test_mirror_images_have_mirrored_meshes(photo: np.ndarray, face: Face) -> None:
    from sadtalker_ext.face import mean_face

    found = find_faces(np.ascontiguousarray(photo[:, ::-1]))[0]
    back = found.landmarks[mean_face().mirror].copy()
    back[:, 0] = photo.shape[1] - back[:, 0]
    assert apart(back, face.landmarks, face) < 0.004


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_faces_lying_on_their_side_or_head(photo: np.ndarray, face: Face, turns: int) -> None:
    found = find_faces(np.ascontiguousarray(np.rot90(photo, turns)))[0]
    x, y = face.landmarks[:, 0], face.landmarks[:, 1]
    size = photo.shape[0]
    expected = {1: (y, size - x), 2: (size - x, size - y), 3: (size - y, x)}[turns]
    assert apart(found.landmarks, np.stack(expected, 1), found) < 0.03


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The whole picture turned against the clock, on grey, and the map (2, 3) of its pixels."""
    height, width = image.shape[:2]
    cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    size = int(width * cosine + height * sine), int(width * sine + height * cosine)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += (np.array(size) - (width, height)) / 2
    return cv2.warpAffine(image, matrix, size, borderValue=(128, 128, 128)), matrix


def mouth(face: Face) -> np.ndarray:
    return face.landmarks[list(topology.LIPS), :2].mean(0)


@pytest.mark.parametrize(
    ("look", "angles"),
    [
        ("whole", (60, 150, 165, 180, 210)),
        ("drawn", (105, 180, 270)),
        ("small", (165, 240)),
        ("grey", (135,)),
    ],
)
def test_the_mouth_is_the_mouth_however_far_the_picture_is_turned(
    photo: np.ndarray, look: str, angles: tuple[int, ...]
) -> None:
    image = {
        "whole": photo,
        "drawn": cv2.bilateralFilter(photo, 15, 90, 15) // 48 * 48 + 24,
        "small": cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "grey": np.repeat(photo.mean(2, keepdims=True).astype(np.uint8), 3, 2),
    }[look]
    upright = find_faces(image)[0]
    width = np.linalg.norm(np.subtract(*upright.landmarks[[topology.LEFT_CHEEK, topology.RIGHT_CHEEK]]))
    wrong = []
    for degrees in angles:
        image_turned, matrix = turned(image, degrees)
        found = find_faces(image_turned)
        expected = matrix[:, :2] @ mouth(upright) + matrix[:, 2]
        if len(found) != 1 or np.linalg.norm(mouth(found[0]) - expected) > 0.1 * width:
            wrong.append(degrees)
    assert wrong == []


def test_several_faces_in_a_turned_picture(head: np.ndarray) -> None:
    image = scene(head, 900, 420, [(40, 60, 280), (330, 70, 240), (600, 50, 300)])
    upright = find_faces(image)
    for degrees in (150, 260):
        image_turned, matrix = turned(image, degrees)
        found = find_faces(image_turned)
        assert len(found) == 3, degrees
        for face in upright:
            expected = matrix[:, :2] @ mouth(face) + matrix[:, 2]
            nearest = min(np.linalg.norm(mouth(other) - expected) for other in found)
            assert nearest < 0.1 * face.size, degrees


@pytest.mark.parametrize("change", ["dark", "faded", "grey", "tight"])
def test_hard_pictures(photo: np.ndarray, face: Face, change: str) -> None:
    x0, y0, x1, y1 = (round(v) for v in face.box)
    image = {
        "dark": (photo * 0.12).astype(np.uint8),
        "faded": (photo * 0.1 + 200).astype(np.uint8),
        "grey": np.repeat(photo.mean(2, keepdims=True).astype(np.uint8), 3, 2),
        "tight": np.ascontiguousarray(photo[y0:y1, x0:x1]),
    }[change]
    found = find_faces(image)
    assert len(found) == 1
    offset = [x0, y0] if change == "tight" else [0, 0]
    assert apart(found[0].landmarks[:, :2] + offset, face.landmarks, face) < 0.03


@pytest.mark.parametrize(("size", "tall"), [((1600, 1200), 60), ((4000, 3000), 150)])
def test_a_small_face_in_a_large_picture(head: np.ndarray, size: tuple[int, int], tall: int) -> None:
    left, top = size[0] * 2 // 3, size[1] // 5
    found = find_faces(scene(head, *size, [(left, top, tall)]))
    assert len(found) == 1
    assert left < found[0].centre[0] < left + tall
    assert top < found[0].centre[1] < top + tall


def test_thirty_faces_are_all_found_once_and_largest_first(head: np.ndarray) -> None:
    places = [(20 + 150 * (k % 6), 20 + 160 * (k // 6), 80 + 2 * k) for k in range(30)]
    found = find_faces(scene(head, 940, 840, places))
    assert len(found) == 30
    sizes = [face.size for face in found]
    assert sizes == sorted(sizes, reverse=True)
    assert found[0].contains(places[-1][0] + 60, places[-1][1] + 75)


def test_thorough_search_finds_the_small_face_behind_a_large_one(head: np.ndarray) -> None:
    image = scene(head, 1000, 700, [(40, 60, 560), (860, 520, 70)])
    found = find_faces(image, thorough=True)
    assert len(found) == 2
    assert found[0].size > 4 * found[1].size


@pytest.mark.parametrize("kind", ["flat", "noise", "stripes", "disc"])
def test_no_face_where_there_is_none(kind: str) -> None:
    y, x = np.mgrid[0:300, 0:300]
    pattern = {
        "flat": np.full((300, 300), 128),
        "noise": np.random.default_rng(3).integers(0, 256, (300, 300)),
        "stripes": 127 + 127 * np.sin(x / 5),
        "disc": np.where((x - 150) ** 2 + (y - 150) ** 2 < 110**2, 210, 40),
    }[kind]
    assert find_faces(np.repeat(pattern[:, :, None], 3, 2).astype(np.uint8)) == []


def test_the_search_can_be_stopped(photo: np.ndarray) -> None:
    class Stop(Exception):
        pass

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise Stop

    with pytest.raises(Stop):
        find_faces(np.full((400, 400, 3), 90, np.uint8), check=check)


def test_threads_share_the_detector(photo: np.ndarray, face: Face) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: find_faces(photo)[0].landmarks, range(8)))
    assert all((landmarks == face.landmarks).all() for landmarks in results)


def test_a_detector_that_is_let_go_of_closes_its_graphs(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their networks would stay in memory."""
    from mediapipe.python.solution_base import SolutionBase

    closed: list[object] = []
    close = SolutionBase.close
    monkeypatch.setattr(SolutionBase, "close", lambda graph: closed.append(graph) or close(graph))
    caches.release()
    gc.collect()
    closed.clear()
    find_faces(photo)
    assert closed == []
    caches.release()
    gc.collect()
    assert len(closed) >= 2  # what searches, and what fits the mesh


def test_nothing_is_printed_and_the_environment_is_left_alone(demo_portrait: Path) -> None:
    import os
    import subprocess
    import sys

    code = (
        "import os, sys; from sadtalker_ext.face import load_portrait; before = dict(os.environ)\n"
        f"assert len(load_portrait({str(demo_portrait)!r}).faces) == 1\n"
        "assert 'GLOG_minloglevel' not in os.environ\n"
        "print('done', file=sys.stderr)"
    )
    env = {k: v for k, v in os.environ.items() if k != "GLOG_minloglevel"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    noise = [line for line in done.stderr.splitlines() if "XNNPACK" in line or "absl" in line]
    assert noise == []
    assert "done" in done.stderr


def test_unknown_detector(photo: np.ndarray) -> None:
    with pytest.raises(OptionsError, match="face-alignment"):
        find_faces(photo, detector="haar")


def test_without_mediapipe_the_sentence_says_how_to_install_it(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from sadtalker_ext.face import detection

    caches.release()
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", None)
    monkeypatch.setattr(detection, "_second_detector", lambda asked: None)
    try:
        with pytest.raises(DependencyError, match="pip install"):
            find_faces(photo)
        with pytest.raises(DependencyError, match="--points"):
            load_portrait(photo)
    finally:
        caches.release()


def test_folded_and_misplaced_meshes_are_not_plausible(face: Face) -> None:
    good = face.landmarks
    assert is_plausible(good, 512, 512)
    bad_mouth = good.copy()
    bad_mouth[list(topology.LIPS), 1] = good[topology.NOSE_BRIDGE, 1] - 10
    crossed = good.copy()
    crossed[[topology.MOUTH_LEFT, topology.MOUTH_RIGHT]] = good[[topology.MOUTH_RIGHT, topology.MOUTH_LEFT]]
    squashed = good * [1, 0.3, 1]
    shuffled = np.random.default_rng(0).permutation(good)
    for wrong in (
        bad_mouth,
        crossed,
        squashed,
        shuffled,
        good * np.nan,
        good + np.array([600, 0, 0]),
        good * 0.1,
    ):
        assert not is_plausible(wrong, 512, 512)


def test_distinct_keeps_the_surer_of_two_that_overlap(face: Face) -> None:
    doubted = face_from_landmarks(face.landmarks + np.array([3, 2, 0]), 0.5, "mediapipe")
    aside = face_from_landmarks(face.landmarks + np.array([200, 0, 0]), 0.6, "mediapipe")
    assert overlap(face, doubted) > 0.8
    assert overlap(face, aside) == 0
    kept = distinct([doubted, aside, face])
    assert len(kept) == 2
    assert not any(one is doubted for one in kept)


def test_samples(samples: Path) -> None:
    for path in sorted((samples / "images").iterdir()):
        found = find_faces(load_picture(path).image)
        assert len(found) == 1, path.name
        yaw, pitch, roll = head_pose(found[0].landmarks)
        assert abs(yaw) < 15, path.name
        assert abs(pitch) < 15, path.name
        assert abs(roll) < 20, path.name
