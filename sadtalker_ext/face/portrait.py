"""Turns a picture into a `Portrait`: the picture, the face that is to talk, and the faces beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DependencyError, EngineError, FaceNotFoundError, Sentence
from ..host import Check, nothing
from .detection import find_faces
from .faces import Face, face_from_landmarks
from .mouth import SEEN, SHUT, mouth_of, told
from .picture import Picture, PictureSource, later_frames, load_picture
from .points import face_from_points

FIVE_POINT_WAY = Sentence("{five_points}", "five_points")


@dataclass(frozen=True, eq=False, repr=False)
class Portrait:
    """A picture and the face in it that is to talk.

    faces: every face that was found, largest first; number N of the preview is faces[N - 1]. remark: what is
    worth knowing of the choice, or "". mouth: what is to be seen of its mouth, see `mouth`; unless that is
    `SEEN`, the lips stay as they are.
    """

    picture: Picture
    face: Face
    faces: tuple[Face, ...] = ()
    remark: str = ""
    mouth: str = SEEN

    def __repr__(self) -> str:
        return f"<Portrait {self.picture!r}, {self.face!r}; faces: {len(self.faces)}>"

    @property
    def image(self) -> np.ndarray:
        """uint8 (H, W, 3) RGB."""
        return self.picture.image

    @property
    def alpha(self) -> np.ndarray | None:
        """uint8 (H, W), or None for an opaque picture."""
        return self.picture.alpha

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Equal for the same pixels and the same face."""
        alpha = None if self.alpha is None else hash(self.alpha.tobytes())
        return self.image.shape, hash(self.image.tobytes()), alpha, self.face.landmarks.tobytes()

    @property
    def notices(self) -> tuple[str, ...]:
        """What was done to the picture, and chosen in it, that its owner may want to know."""
        return (*self.picture.notices, *(told for told in (self.remark, told(self.mouth)) if told))

    def with_mouth(self, moves: str) -> Portrait:
        """As it is for "auto"; "talk" and "shut" overrule what was seen of the mouth."""
        return self if moves == "auto" else replace(self, mouth=SEEN if moves == "talk" else SHUT)

    @property
    def file(self) -> Path | None:
        """Where the picture came from, if that is a file."""
        return self.picture.path

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height


def load_portrait(
    source: PictureSource | Portrait,
    *,
    face: int | None = None,
    face_at: tuple[float, float] | None = None,
    points: Sequence[tuple[float, float]] | None = None,
    detector: str = "auto",
    all_faces: bool = False,
    check: Check = nothing,
) -> Portrait:
    """The portrait in a picture, with the face that is to talk.

    source: a file path, a Pillow image, an array (see `load_picture`), or a portrait, which is returned as it
    is, or searched again where a face is chosen or all are wanted.

    The largest face is chosen, unless `face` (its number in the preview, from 1), `face_at` (a point
    x, y in pixels on or near it) or `points` (left eye, right eye, nose tip, left and right mouth
    corner as they stand in the picture, x, y in pixels) says otherwise; the pixels are those of the
    source, also where it is scaled down. With `points` nothing is detected. detector: "auto",
    "mediapipe" or "face-alignment". all_faces: search for small faces too where a large one was found
    (done anyway when `face` or `face_at` is given), as a preview needs.
    check: called between the steps of the search; what it raises ends it.
    Raises `PictureError` (missing, unreadable, too small or too narrow), `FaceNotFoundError` (no face, or not
    the one asked for) or `DependencyError` (no detector is installed).
    """
    if isinstance(source, Portrait):
        if face is face_at is points is None and not all_faces:
            return source
        source = source.picture
    picture = load_picture(source)
    if points is not None:
        if picture.animation is not None:  # the points are those of the frame that a preview shows
            with suppress(EngineError):
                picture, _ = find_in(picture, detector=detector, check=check)
        chosen = _scaled(face_from_points(points, *_source_size(picture)), picture.scale)
        return Portrait(picture, chosen, (chosen,))
    thorough = all_faces or face is not None or face_at is not None
    try:
        picture, faces = find_in(picture, detector=detector, thorough=thorough, check=check)
    except DependencyError as error:
        raise DependencyError("{error}; or {way}.", error, way=FIVE_POINT_WAY) from error
    if not faces:
        raise FaceNotFoundError(
            "No face was found in {picture.name}; choose a clearer picture or {way}.",
            picture=picture,
            way=FIVE_POINT_WAY,
        )
    remark = ""
    if len(faces) > 1 and face is None and face_at is None:
        text = "{count} faces were found, and the largest speaks; choose another with {face}."
        remark = Sentence(text, "face", count=len(faces))
    speaker = choose_face(faces, face, face_at, picture)
    return Portrait(picture, speaker, tuple(faces), remark, mouth_of(picture.image, speaker))


def find_in(
    picture: Picture, *, detector: str = "auto", thorough: bool = False, check: Check = nothing
) -> tuple[Picture, list[Face]]:
    """A picture and its faces, see `find_faces`; of an animation the first frame that has any."""
    faces = find_faces(picture.image, detector=detector, thorough=thorough, check=check)
    for frame in () if faces else later_frames(picture):
        faces = find_faces(frame.image, detector=detector, thorough=thorough, check=check)
        if faces:
            return frame, faces
    return picture, faces


def choose_face(
    faces: Sequence[Face], number: int | None, at: tuple[float, float] | None, picture: Picture
) -> Face:
    """One of `faces` (largest first): by number from 1, by the point it lies at, or the largest."""
    if number is not None and at is not None:
        raise FaceNotFoundError("Choose the face by its number or by a point on it, not by both.")
    if number is not None:
        if not 1 <= number <= len(faces):
            found = "{count} were found in {picture.name}; choose a number from 1 to {count}, {as_drawn}."
            if len(faces) == 1:
                found = "only one was found in {picture.name}; leave the number out."
            facts = {"number": number, "count": len(faces), "picture": picture}
            raise FaceNotFoundError("Face {number} was asked for but " + found, "as_drawn", **facts)
        return faces[number - 1]
    if at is not None:
        (x, y), (width, height) = at, _source_size(picture)
        if not (0 <= x <= width and 0 <= y <= height):
            raise FaceNotFoundError(
                f"The point {x:g},{y:g} lies outside {picture.name}, which is {width}x{height} pixels; "
                "choose one on the face."
            )
        x, y = x * picture.scale, y * picture.scale
        holding = [face for face in faces if face.contains(x, y)]
        return min(holding or faces, key=lambda f: np.hypot(f.centre[0] - x, f.centre[1] - y))
    return faces[0]


def _source_size(picture: Picture) -> tuple[int, int]:
    return round(picture.width / picture.scale), round(picture.height / picture.scale)


def _scaled(face: Face, scale: float) -> Face:
    return face if scale == 1 else face_from_landmarks(face.landmarks * scale, face.score, face.source)
