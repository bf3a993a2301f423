"""A portrait into the faces found in it, and a person's clicks into the face that is to speak."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EngineError, FaceNotFoundError, SadTalkerError, worded
from ..system.caches import Kept
from .words import PAGE

if TYPE_CHECKING:
    from PIL import Image

    from ..face import Face

BASE_SIDE = 1600  # px of the longer side of the picture that is kept for looking closer
SHOWN_SIDE = 720  # px of the longer side of what is shown and clicked
FOUND_KEPT = 4  # pictures whose faces are remembered
BACKDROP = 160  # grey behind transparent parts of the picture
CLOSE_UP = 2.6  # side of what is shown of a single face over the face's size
ZOOM = 3.0  # how much closer a look is taken for clicking points
CLOSEST = 48.0  # px of the base: the shortest side that is looked at
POINT_RADIUS = 0.011  # of a drawn point over the shown picture's mean side
POINT_GAP = 0.2  # largest radius of a point over the distance to the next
POINT_NAMES = (
    "the eye on the picture's left",
    "the eye on the picture's right",
    "the tip of the nose",
    "the mouth corner on the picture's left",
    "the mouth corner on the picture's right",
)
POINT_COUNT = len(POINT_NAMES)

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1


@dataclass(frozen=True, eq=False)
class Found:
    """The faces of one picture.

    key: tells pictures apart. base: uint8 (H, W, 3), no larger than `BASE_SIDE`. scale: pixels of it for one
    of the (upright) picture. faces: largest first, in pixels of the base. problem: a sentence when faces
    could not be looked for.
    """

    key: str
    base: np.ndarray
    scale: float
    faces: tuple[Face, ...]
    problem: str = ""

    @property
    def width(self) -> int:
        return int(self.base.shape[1])

    @property
    def height(self) -> int:
        return int(self.base.shape[0])


@dataclass(frozen=True, eq=False)
class FaceChoice:
    """Which face of a picture is to speak, and what is shown for choosing it.

    number: of a found face, from 1. points: clicked so far, in the order of `POINT_NAMES`, in pixels of the
    base. by_hand: the points count, not the number. window: the part of the base that is looked at closely;
    None is all of it. aiming: the next click says where to look closely.
    """

    found: Found
    number: int = 1
    points: tuple[Point, ...] = ()
    by_hand: bool = False
    window: Box | None = None
    aiming: bool = False

    @staticmethod
    def first(found: Found) -> FaceChoice:
        """The largest face; points by hand where there is none."""
        return FaceChoice(found, by_hand=not found.faces)

    @property
    def aspect(self) -> float:
        """Height over width of what is shown."""
        x0, y0, x1, y1 = self._view()
        return (y1 - y0) / (x1 - x0)

    @property
    def clickable(self) -> bool:
        """Whether there is anything to choose with a click."""
        return self.by_hand or len(self.found.faces) > 1

    def clicked(self, x: float, y: float) -> FaceChoice:
        """After a click at x, y in pixels of `drawn()`: another face, a point, or a closer look."""
        x0, y0, x1, y1 = self._view()
        width, height = self._shown_size()
        at = (
            min(max(x0 + x * (x1 - x0) / width, 0.0), float(self.found.width)),
            min(max(y0 + y * (y1 - y0) / height, 0.0), float(self.found.height)),
        )
        if not self.by_hand:
            holding = [face for face in self.found.faces if face.contains(*at)] or list(self.found.faces)
            nearest = min(holding, key=lambda face: _distance(face.centre, at))
            return replace(self, number=self.found.faces.index(nearest) + 1)
        if self.aiming:
            return self._closer(at)
        if len(self.points) < POINT_COUNT:
            return replace(self, points=(*self.points, at))
        moved = min(range(POINT_COUNT), key=lambda i: _distance(self.points[i], at))
        return replace(self, points=(*self.points[:moved], at, *self.points[moved + 1 :]))

    def numbered(self, number: object) -> FaceChoice:
        """With the found face of that number; one that does not exist changes nothing."""
        if str(number) not in {str(n) for n in range(1, len(self.found.faces) + 1)}:
            return self
        return replace(self, number=int(str(number)))

    def pointed(self) -> FaceChoice:
        """With points by hand, from the first one on."""
        return replace(self, points=(), by_hand=True, aiming=False)

    def undone(self) -> FaceChoice:
        """Without the point clicked last."""
        return replace(self, points=self.points[:-1], aiming=False)

    def zoomed(self) -> FaceChoice:
        """Looking closer where the next click says, or at the whole picture again."""
        if self.aiming or self.window is not None:
            return replace(self, window=None, aiming=False)
        return replace(self, aiming=True)

    def face(self) -> Face | None:
        """The face that is to speak, in pixels of the base; None while points are missing.

        Raises `FaceNotFoundError` when five points do not make a face.
        """
        from ..face import face_from_points

        if not self.by_hand:
            return self.found.faces[self.number - 1]
        if len(self.points) < POINT_COUNT:
            return None
        return face_from_points(self.points, self.found.width, self.found.height)

    def options(self) -> dict[str, Any]:
        """What `Options` needs to animate that face: nothing, `face_at` or `points`, in the picture's pixels.

        Raises `FaceNotFoundError` with what is still to be clicked.
        """
        if not self.by_hand:
            if len(self.found.faces) == 1:
                return {}
            # By its place: another detector may count the faces in another order.
            x, y = self.found.faces[self.number - 1].centre
            width, height = self.found.width, self.found.height
            return {"face_at": self._own((min(max(x, 0.0), width), min(max(y, 0.0), height)))}
        if not self.points:
            first = f"click five points of the face below the portrait, first {POINT_NAMES[0]}."
            raise FaceNotFoundError(f"{self._why()}; {first}")
        count = len(self.points)
        if count < POINT_COUNT:
            told = f"Only {count} of the five points are set; click {POINT_NAMES[count]} next."
            raise FaceNotFoundError(told)
        self.face()
        return {"points": tuple(self._own(point) for point in self.points)}

    def sentence(self) -> str:
        """What was found and what to do next."""
        count = len(self.found.faces)
        if not self.by_hand:
            if count == 1:
                return "1 face found."
            return f"{count} faces found: click the one that is to speak. Number {self.number} is chosen."
        if self.aiming:
            return "Click where the face is, to see it larger."
        if len(self.points) < POINT_COUNT:
            return self._next_point()
        try:
            self.face()
        except FaceNotFoundError as error:
            return f"{error} Click to move a point, or start over."
        return "The five points are set. Click to move the nearest one."

    def _next_point(self) -> str:
        done = len(self.points)
        asked = f"{POINT_NAMES[done]} ({done + 1} of {POINT_COUNT})."
        if done:
            return f"Click {asked}"
        why = "" if self.found.faces else f"{self._why()}. "
        return f"{why}Click five points of the face in the picture below, first {asked}"

    def drawn(self) -> np.ndarray:
        """What is to be shown, uint8 (H, W, 3): the picture, or a part of it, with faces or points."""
        import cv2

        from ..face import draw_faces

        x0, y0, x1, y1 = self._view()
        part = self.found.base[round(y0) : round(y1), round(x0) : round(x1)]
        size = self._shown_size()
        zoom = size[0] / (x1 - x0)
        grown = cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA
        shown = np.asarray(cv2.resize(np.ascontiguousarray(part), size, interpolation=grown))
        if not self.by_hand:
            faces = [_moved(face, (x0, y0), zoom) for face in self.found.faces]
            return draw_faces(shown, faces, self.number)
        try:
            face = self.face()
        except FaceNotFoundError:
            face = None
        if face is not None:
            shown = draw_faces(shown, [_moved(face, (x0, y0), zoom)], 1)
        return _with_points(shown, [((x - x0) * zoom, (y - y0) * zoom) for x, y in self.points])

    def _closer(self, at: Point) -> FaceChoice:
        x0, y0, x1, y1 = self._view()
        sides = max((x1 - x0) / ZOOM, CLOSEST), max((y1 - y0) / ZOOM, CLOSEST)
        return replace(self, window=self._within(at, *sides), aiming=False)

    def _within(self, centre: Point, width: float, height: float) -> Box:
        """A box around `centre`, pushed into the base, on whole pixels."""
        x0, x1 = _stretch(centre[0], width, self.found.width)
        y0, y1 = _stretch(centre[1], height, self.found.height)
        return x0, y0, x1, y1

    def _view(self) -> Box:
        """The part of the base that is shown."""
        if self.by_hand and self.window is not None:
            return self.window
        if not self.clickable:
            face = self.found.faces[0]
            return self._within(face.centre, CLOSE_UP * face.size, CLOSE_UP * face.size)
        return 0.0, 0.0, float(self.found.width), float(self.found.height)

    def _shown_size(self) -> tuple[int, int]:
        x0, y0, x1, y1 = self._view()
        zoom = SHOWN_SIDE / max(x1 - x0, y1 - y0)
        return max(1, round((x1 - x0) * zoom)), max(1, round((y1 - y0) * zoom))

    def _own(self, point: Point) -> Point:
        """A point of the base in the picture's own pixels."""
        return round(point[0] / self.found.scale, 1), round(point[1] / self.found.scale, 1)

    def _why(self) -> str:
        if self.found.faces:
            return "No point is set yet"
        return self.found.problem.rstrip(".") or "No face was found in the picture"


def content_key(picture: Image.Image) -> str:
    """The same for the same pixels, of an animation in all of its frames."""
    from ..face.decoding import file_of

    digest = hashlib.blake2b(f"{picture.mode} {picture.size}".encode(), digest_size=16)
    digest.update(file_of(picture) or picture.tobytes())
    return digest.hexdigest()


_found: Kept[Found] = Kept(FOUND_KEPT)
_finding = threading.Lock()  # one search at a time: a second one for the same picture finds it done


def find(picture: Image.Image) -> Found:
    """Every face of a picture, found once per picture; raises `PictureError` where it cannot be used."""
    key = content_key(picture)
    with _finding:
        found = _found.get(key, lambda: _look(picture, key))
        if found.problem or not found.faces:  # what went wrong once may go well the next time
            _found.drop(key)
    return found


def _look(source: Image.Image, key: str) -> Found:
    from ..face import find_in, load_picture

    picture, problem = load_picture(source), ""
    faces: list[Face] = []
    try:
        picture, faces = find_in(picture, thorough=True)
    except EngineError as error:
        # The five points need no detector; its own advice is about others.
        problem = f"Faces cannot be looked for ({worded(error.sentence, PAGE).split(';')[0].rstrip('.')})"
    except SadTalkerError as error:
        problem = worded(error.sentence, PAGE)
    base = _base(picture.image, picture.alpha)
    zoom = base.shape[1] / picture.width
    moved = tuple(_moved(face, (0.0, 0.0), zoom) for face in faces)
    return Found(key, base, zoom * picture.scale, moved, problem)


def _moved(face: Face, origin: Point, zoom: float) -> Face:
    """The face in a picture that begins at `origin` and is `zoom` times as large."""
    x, y = origin
    x0, y0, x1, y1 = face.box
    box = ((x0 - x) * zoom, (y0 - y) * zoom, (x1 - x) * zoom, (y1 - y) * zoom)
    landmarks = ((face.landmarks - [x, y, 0.0]) * zoom).astype(np.float32)
    return replace(face, landmarks=landmarks, box=box)


def _base(image: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    import cv2

    zoom = min(1.0, BASE_SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    if alpha is None:
        return small
    cover = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))[:, :, None] / 255.0
    return np.rint(small * cover + BACKDROP * (1 - cover)).astype(np.uint8)


def _stretch(middle: float, side: float, whole: int) -> tuple[float, float]:
    """Begin and end of so long a piece of 0..whole, around its middle as far as that goes."""
    length = min(round(side), whole)
    begin = min(max(round(middle - length / 2), 0), whole - length)
    return float(begin), float(begin + length)


def _distance(a: Point, b: Point) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def _with_points(image: np.ndarray, points: list[Point]) -> np.ndarray:
    """A copy with numbered dots, smaller where they lie close together."""
    import cv2

    from ..face.preview import CHOSEN, INK

    canvas = np.ascontiguousarray(image).copy()
    gaps = [_distance(a, b) for i, a in enumerate(points) for b in points[:i]]
    widest = POINT_RADIUS * sum(canvas.shape[:2]) / 2
    radius = max(2, round(min([widest, *(POINT_GAP * gap for gap in gaps)])))
    for number, (x, y) in enumerate(points, 1):
        at = (round(x), round(y))
        cv2.circle(canvas, at, radius + 2, INK, -1, cv2.LINE_AA)
        cv2.circle(canvas, at, radius, CHOSEN, -1, cv2.LINE_AA)
        cv2.circle(canvas, at, max(1, radius // 4), INK, -1, cv2.LINE_AA)
        place, size = (at[0] + radius + 3, at[1] - radius), max(0.35, radius / 11)
        for colour, width in ((INK, 3), (CHOSEN, 1)):
            cv2.putText(canvas, str(number), place, cv2.FONT_HERSHEY_DUPLEX, size, colour, width, cv2.LINE_AA)
    return canvas
