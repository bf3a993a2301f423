"""A portrait into the faces found in it, and a person's clicks into the face that is to speak."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EngineError, FaceNotFoundError, SadTalkerError

if TYPE_CHECKING:
    from PIL import Image

    from ..face import Face

PREVIEW_SIDE = 720  # px of the longer side of the picture that is shown and clicked
FOUND_KEPT = 4  # pictures whose faces are remembered
BACKDROP = 160  # grey behind transparent parts of the preview
POINT_WIDTH = 0.011  # radius of a drawn point over the preview's mean side
POINT_NAMES = (
    "the eye on the picture's left",
    "the eye on the picture's right",
    "the tip of the nose",
    "the mouth corner on the picture's left",
    "the mouth corner on the picture's right",
)
POINT_COUNT = len(POINT_NAMES)

Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Found:
    """The faces of one picture.

    key: tells pictures apart. preview: uint8 (H, W, 3), no larger than `PREVIEW_SIDE`. scale: pixels of it
    for one of the (upright) picture. faces: largest first, in pixels of the preview. problem: a sentence when
    faces could not be looked for.
    """

    key: str
    preview: np.ndarray
    scale: float
    faces: tuple[Face, ...]
    problem: str = ""


@dataclass(frozen=True, eq=False)
class FaceChoice:
    """Which face of a picture is to speak.

    number: of a found face, from 1. points: clicked so far, in the order of `POINT_NAMES`, in pixels of the
    preview. by_hand: the points count, not the number.
    """

    found: Found
    number: int = 1
    points: tuple[Point, ...] = ()
    by_hand: bool = False

    @staticmethod
    def first(found: Found) -> FaceChoice:
        """The largest face; points by hand where there is none."""
        return FaceChoice(found, by_hand=not found.faces)

    def clicked(self, x: float, y: float) -> FaceChoice:
        """After a click at x, y in pixels of the preview: another face, one more point, or a point moved."""
        height, width = self.found.preview.shape[:2]
        at = (min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height)))
        if self.by_hand and len(self.points) < POINT_COUNT:
            return replace(self, points=(*self.points, at))
        if self.by_hand:
            nearest = min(range(POINT_COUNT), key=lambda i: np.hypot(*np.subtract(self.points[i], at)))
            return replace(self, points=(*self.points[:nearest], at, *self.points[nearest + 1 :]))
        faces = self.found.faces
        holding = [face for face in faces if face.contains(*at)] or list(faces)
        nearest_face = min(holding, key=lambda face: np.hypot(*np.subtract(face.centre, at)))
        return replace(self, number=faces.index(nearest_face) + 1)

    def numbered(self, number: object) -> FaceChoice:
        """With the found face of that number; one that does not exist changes nothing."""
        if str(number) not in {str(n) for n in range(1, len(self.found.faces) + 1)}:
            return self
        return replace(self, number=int(str(number)))

    def undone(self) -> FaceChoice:
        """Without the point clicked last."""
        return replace(self, points=self.points[:-1])

    def face(self) -> Face | None:
        """The face that is to speak, in pixels of the preview; None while points are missing.

        Raises `FaceNotFoundError` when five points do not make a face.
        """
        from ..face import face_from_points

        if not self.by_hand:
            return self.found.faces[self.number - 1]
        if len(self.points) < POINT_COUNT:
            return None
        height, width = self.found.preview.shape[:2]
        return face_from_points(self.points, width, height)

    def options(self) -> dict[str, Any]:
        """What `Options` needs to animate that face: nothing, `face_at` or `points`, in the picture's pixels.

        Raises `FaceNotFoundError` with what is still to be clicked.
        """
        if not self.by_hand:
            # By its place: another detector may count the faces in another order.
            return {} if len(self.found.faces) == 1 else {"face_at": self._own(self.face_centre())}
        if len(self.points) < POINT_COUNT:
            if not self.points:
                raise FaceNotFoundError(
                    f"{self._why()}; click the five points of the face in the small picture."
                )
            raise FaceNotFoundError(
                f"Only {len(self.points)} of the five points are set; "
                f"click {POINT_NAMES[len(self.points)]} next."
            )
        self.face()
        return {"points": tuple(self._own(point) for point in self.points)}

    def face_centre(self) -> Point:
        """The middle of the chosen found face, inside the preview."""
        height, width = self.found.preview.shape[:2]
        x, y = self.found.faces[self.number - 1].centre
        return min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))

    def _own(self, point: Point) -> Point:
        return round(point[0] / self.found.scale, 1), round(point[1] / self.found.scale, 1)

    def _why(self) -> str:
        if self.found.faces:
            return "No point is set yet"
        return self.found.problem.rstrip(".") or "No face was found in the picture"

    def sentence(self) -> str:
        """What was found and what to do next."""
        count = len(self.found.faces)
        if not self.by_hand:
            if count == 1:
                return "1 face found."
            return f"{count} faces found: click the one that is to speak. Number {self.number} is chosen."
        if len(self.points) < POINT_COUNT:
            done = len(self.points)
            start = f"{self._why()}. " if done == 0 and not count else ""
            return f"{start}Click {POINT_NAMES[done]} ({done + 1} of {POINT_COUNT})."
        try:
            self.face()
        except FaceNotFoundError as error:
            return f"{error} Click to move a point, or start over."
        return "The five points are set. Click to move the nearest one."

    def drawn(self) -> np.ndarray:
        """The preview, uint8 (H, W, 3), with faces or points drawn on it."""
        from ..face import draw_faces

        if not self.by_hand:
            return draw_faces(self.found.preview, self.found.faces, self.number)
        canvas = self.found.preview
        try:
            face = self.face()
        except FaceNotFoundError:
            face = None
        if face is not None:
            canvas = draw_faces(canvas, [face], None if face is None else 1)
        return _with_points(canvas, self.points)


def content_key(picture: Image.Image) -> str:
    """The same for the same pixels."""
    digest = hashlib.blake2b(f"{picture.mode} {picture.size}".encode(), digest_size=16)
    digest.update(picture.tobytes())
    return digest.hexdigest()


_found: OrderedDict[str, Found] = OrderedDict()
_finding = threading.Lock()  # one search at a time: a second one for the same picture finds it done


def find(picture: Image.Image) -> Found:
    """Every face of a picture, found once per picture; raises `PictureError` where it cannot be used."""
    key = content_key(picture)
    with _finding:
        found = _found.pop(key, None) or _look(picture, key)
        _found[key] = found
        while len(_found) > FOUND_KEPT:
            _found.popitem(last=False)
    return found


def forget() -> None:
    """Forget the faces of all pictures."""
    with _finding:
        _found.clear()


def _look(source: Image.Image, key: str) -> Found:
    from ..face import find_faces, load_picture

    picture = load_picture(source)
    problem = ""
    faces: list[Face] = []
    try:
        faces = find_faces(picture.image, thorough=True)
    except EngineError as error:
        # The five points need no detector; its own advice names flags of the command line.
        problem = f"Faces cannot be looked for ({str(error).split(';')[0].rstrip('.')})"
    except SadTalkerError as error:
        problem = str(error)
    zoom = min(1.0, PREVIEW_SIDE / max(picture.width, picture.height))
    preview = _preview(picture.image, picture.alpha, zoom)
    zoom = preview.shape[1] / picture.width
    return Found(key, preview, zoom * picture.scale, tuple(_zoomed(face, zoom) for face in faces), problem)


def _zoomed(face: Face, zoom: float) -> Face:
    x0, y0, x1, y1 = face.box
    return replace(face, landmarks=face.landmarks * zoom, box=(x0 * zoom, y0 * zoom, x1 * zoom, y1 * zoom))


def _preview(image: np.ndarray, alpha: np.ndarray | None, zoom: float) -> np.ndarray:
    import cv2

    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    if alpha is None:
        return small
    cover = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))[:, :, None] / 255.0
    return np.rint(small * cover + BACKDROP * (1 - cover)).astype(np.uint8)


def _with_points(image: np.ndarray, points: tuple[Point, ...]) -> np.ndarray:
    """A copy with numbered dots."""
    import cv2

    from ..face.preview import CHOSEN, INK

    canvas = np.ascontiguousarray(image).copy()
    radius = max(3, round(POINT_WIDTH * sum(canvas.shape[:2]) / 2))
    for number, (x, y) in enumerate(points, 1):
        at = (round(x), round(y))
        cv2.circle(canvas, at, radius + 2, INK, -1, cv2.LINE_AA)
        cv2.circle(canvas, at, radius, CHOSEN, -1, cv2.LINE_AA)
        cv2.circle(canvas, at, max(1, radius // 4), INK, -1, cv2.LINE_AA)
        place = (at[0] + round(1.5 * radius), at[1] - radius)
        for colour, width in ((INK, 4), (CHOSEN, 1)):
            cv2.putText(
                canvas, str(number), place, cv2.FONT_HERSHEY_DUPLEX, radius / 11, colour, width, cv2.LINE_AA
            )
    return canvas
