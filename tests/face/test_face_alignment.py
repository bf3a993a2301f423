"""The face-alignment detector with a stand-in for its networks, and its sentences without weights."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar
from urllib.error import URLError

import numpy as np
import pytest

from sadtalker_ext.errors import DependencyError, WeightsError
from sadtalker_ext.face import face_alignment_mesh, find_faces, head_pose, mean_face, topology
from sadtalker_ext.face.face_alignment_mesh import FaceAlignmentDetector, face_alignment_detector
from sadtalker_ext.face.geometry import rotation_from_pose

FILES = ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar")
MESH = mean_face().points @ rotation_from_pose(12, -5, 8).T * 120 + [300, 260, 0]


class StandIn:
    """Answers as face_alignment.FaceAlignment does, for one face at `MESH`."""

    made_with: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, kind: object, *, device: str, flip_input: bool, face_detector_kwargs: dict, compile: bool
    ):
        StandIn.made_with = {"kind": kind, "device": device, "compile": compile, **face_detector_kwargs}
        low, high = MESH[:, :2].min(0), MESH[:, :2].max(0)
        self.face_detector = SimpleNamespace(
            detect_from_image=lambda image: [np.array([*low, *high, 0.97]) * [*self.shrink(image), 1]]
        )

    @staticmethod
    def shrink(image: np.ndarray) -> list[float]:
        return [image.shape[1] / 1920] * 4

    def get_landmarks_from_image(
        self, image: np.ndarray, detected_faces: list[np.ndarray]
    ) -> list[np.ndarray]:
        assert np.abs(detected_faces[0][:2] - MESH[:, :2].min(0)).max() < 1e-6  # in the full picture's pixels
        return [MESH[list(topology.IBUG_68), :2].astype(np.float32)]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A stand-in for the package, and the folder where its weights belong."""
    torch = pytest.importorskip("torch")
    modules = {
        name: ModuleType(name)
        for name in (
            "face_alignment", "face_alignment.api", "face_alignment.detection",
            "face_alignment.detection.sfd",
            "face_alignment.detection.sfd.sfd_detector",
        )
    }  # fmt: skip
    top: Any = modules["face_alignment"]
    top.FaceAlignment, top.LandmarksType = StandIn, SimpleNamespace(TWO_D=1)
    api: Any = modules["face_alignment.api"]
    top.api = api
    api.models_urls = {"2DFAN-4": f"https://example.invalid/{FILES[1]}"}
    detector: Any = modules["face_alignment.detection.sfd.sfd_detector"]
    detector.models_urls = {"s3fd": f"https://example.invalid/{FILES[0]}"}
    sfd: Any = modules["face_alignment.detection.sfd"]
    sfd.sfd_detector = detector
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    face_alignment_detector.cache_clear()
    yield tmp_path / "checkpoints"
    face_alignment_detector.cache_clear()


def put_weights(folder: Path) -> None:
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(b"weights")


def test_sixty_eight_points_become_a_mesh(package: Path) -> None:
    put_weights(package)
    faces = FaceAlignmentDetector().detect(np.zeros((1080, 1920, 3), np.uint8))
    assert len(faces) == 1
    assert faces[0].source == "face-alignment"
    assert faces[0].score == pytest.approx(0.97)
    assert np.abs(faces[0].landmarks[:, :2] - MESH[:, :2]).max() < 0.5
    assert head_pose(faces[0].landmarks) == pytest.approx((12, -5, 8), abs=0.5)
    assert StandIn.made_with["compile"] is False
    assert StandIn.made_with["device"] == "cpu"
    assert StandIn.made_with["path_to_detector"] == str(package / FILES[0])


def test_missing_weights_are_named_with_their_folder(package: Path) -> None:
    with pytest.raises(WeightsError) as error:
        FaceAlignmentDetector()
    for part in (*FILES, str(package), "face-alignment"):
        assert part in str(error.value)


def test_damaged_weights_are_one_sentence(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_weights(package)

    def refuse(*_: object, **__: object) -> None:
        raise pickle.UnpicklingError("Unsupported operand 120")

    monkeypatch.setattr(StandIn, "__init__", refuse)
    with pytest.raises(WeightsError, match=r"cannot be loaded .*delete s3fd"):
        FaceAlignmentDetector()


class Answers(io.BytesIO):
    """What a server answers. endless: its one byte goes on and on."""

    endless = False

    def read(self, size: int | None = -1) -> bytes:
        return b"x" * (size or 1) if self.endless else super().read(size)


def test_no_network_is_a_sentence(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def offline(url: str, timeout: float) -> Any:
        asked.append(url)
        raise URLError("no network")

    monkeypatch.setattr(face_alignment_mesh, "urlopen", offline)
    with pytest.raises(WeightsError) as error:
        find_faces(np.zeros((100, 100, 3), np.uint8), detector="face-alignment")
    assert asked == [f"https://example.invalid/{FILES[0]}"]
    assert FILES[1] in str(error.value)
    assert str(package) in str(error.value)


def test_weights_are_verified_and_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_alignment_mesh, "MOST_BYTES", 1_000_000)
    answer = Answers(b"weights")
    monkeypatch.setattr(face_alignment_mesh, "urlopen", lambda url, timeout: answer)
    good = f"points-{hashlib.sha256(b'weights').hexdigest()[:10]}.pth"
    for url, told in (
        ("https://example.invalid/points-0123456789.pth", "sha256 differs"),
        ("https://example.invalid/points.pth", "no hash"),
        (f"http://example.invalid/{good}", "no hash"),
    ):
        with pytest.raises(OSError, match=told):
            face_alignment_mesh._fetch(url, tmp_path / url.rsplit("/", 1)[-1])
        answer = Answers(b"weights")
    face_alignment_mesh._fetch(f"https://example.invalid/{good}", tmp_path / good)
    assert (tmp_path / good).read_bytes() == b"weights"
    answer = Answers()
    answer.endless = True
    with pytest.raises(OSError, match="more than 1 MB"):
        face_alignment_mesh._fetch("https://example.invalid/x-0123456789.pth", tmp_path / "x-0123456789.pth")
    assert [path.name for path in tmp_path.iterdir()] == [good]


def test_auto_never_downloads(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mediapipe")

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("nobody asked for a download")

    monkeypatch.setattr(face_alignment_mesh, "urlopen", forbidden)
    assert find_faces(np.full((100, 100, 3), 80, np.uint8)) == []


def test_auto_tries_it_where_its_weights_are(package: Path) -> None:
    pytest.importorskip("mediapipe")
    put_weights(package)
    faces = find_faces(np.full((1080, 1920, 3), 80, np.uint8))
    assert [face.source for face in faces] == ["face-alignment"]


def test_package_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(DependencyError, match="pip install face-alignment"):
        FaceAlignmentDetector()
