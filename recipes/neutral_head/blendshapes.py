"""The 52 ARKit blendshapes of the neutral head, as ways of the coarse skin's vertices.

Each is given at a few points of the face and goes on smoothly from there (least bending over the mesh, which
knows that the upper lip is not joined to the lower one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import SuperLU, splu

from recipes.neutral_head.shape import EYE_RADIUS, LID_CLEARANCE, Part, eye_centre
from recipes.neutral_head.subdivision import laplacian
from sadtalker_ext.face import topology as points
from sadtalker_ext.tracks import ARKIT_BLENDSHAPES
from sadtalker_ext.tracks.lips import GAP_PER_JAW, GAP_PER_LOWER, GAP_PER_UPPER

JOINT = np.array([0.0, -0.06, -0.02])  # fw, middle between the joints of the jaw
HOLD = 1e4  # weight of a given way against bending
FADE = 0.24  # fw around the face within which skull and neck go along
REST = 0.02  # weight with which everything stays where it is
GAZE_DEG = {"Up": 24.0, "Down": 28.0, "In": 30.0, "Out": 32.0}
LID_FOLLOWS = {"Up": -0.22, "Down": 0.42}  # share of a blink in a gaze up or down
UPPER_LIP = sorted({point for ring in points.LIPS_UPPER_RINGS for point in ring})
LOWER_LIP = sorted({point for ring in points.LIPS_LOWER_RINGS for point in ring})
CHIN = (
    17, 18, 200, 199, 175, 152, 148, 176, 149, 377, 400, 378, 83, 313, 182, 406, 201, 421, 208, 428, 171, 396,
    140, 369, 194, 418, 32, 262, 211, 431, 170, 395,
)  # fmt: skip
JAW_SIDE = {
    150: 0.92,
    379: 0.92,
    136: 0.75,
    365: 0.75,
    172: 0.5,
    397: 0.5,
    58: 0.2,
    288: 0.2,
}  # share of the jaw's turn
STILL = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 234, 454, 127, 356, 162, 389, 93, 323, 54, 284, 67, 297)
BROWS = {"Right": (points.RIGHT_BROW_UPPER, points.RIGHT_BROW_LOWER),
         "Left": (points.LEFT_BROW_UPPER, points.LEFT_BROW_LOWER)}  # fmt: skip
CHEEK = {"Right": (50, 205, 101, 118), "Left": (280, 425, 330, 347)}
WING = {"Right": (64, 98, 129, 219, 49), "Left": (294, 327, 358, 439, 279)}
CHEEK_BELOW = {"Right": (187, 207, 214, 192, 213), "Left": (411, 427, 434, 416, 433)}
SIGN = {"Right": -1.0, "Left": 1.0}  # where the person's own side is in x

Ways = dict[int, np.ndarray]
Way = tuple[float, float, float]
Shape = tuple[np.ndarray, dict[str, np.ndarray]]  # the skin's, and those of other parts that move
Makers = dict[str, Callable[[], Shape]]


class Spread:
    """Given ways of some vertices, on all of them."""

    def __init__(self, skin: Part) -> None:
        self.skin = skin
        count = len(skin.vertices)
        bend = laplacian(count, skin.faces)
        self._system = (bend.T @ bend + REST**2 * csr_matrix(np.eye(count))).tocsc()
        self._solvers: dict[tuple[int, ...], tuple[np.ndarray, SuperLU]] = {}

    def of(self, ways: Mapping[int, np.ndarray]) -> np.ndarray:
        """(V, 3) of the ways (3,) given by vertex."""
        held = tuple(sorted(ways))
        if held not in self._solvers:
            weight = np.zeros(len(self.skin.vertices))
            weight[list(held)] = HOLD
            solver = splu((self._system + csr_matrix(np.diag(weight))).tocsc())
            self._solvers[held] = (weight, solver)
        weight, solver = self._solvers[held]
        right = np.zeros_like(self.skin.vertices)
        for vertex, way in ways.items():
            right[vertex] = weight[vertex] * np.asarray(way)
        return solver.solve(right)


def blendshapes(skin: Part, others: Mapping[str, np.ndarray]) -> dict[str, Shape]:
    """For each name, ways (V, 3) of the coarse skin, and of those other parts that move."""
    spread = Spread(skin)
    made: dict[str, Shape] = {}
    makers: Makers = {
        **_jaw(spread, others), **_mouth(spread), **_eyes(spread, others), **_upper_face(spread),
        "tongueOut": lambda: (np.zeros_like(skin.vertices), {"tongue": _tongue_out(others["tongue"])}),
    }  # fmt: skip
    for name in ARKIT_BLENDSHAPES:
        made[name] = makers[name]()
    return made


def _hold(spread: Spread, free: set[int] | None = None) -> Ways:
    """Points that stay, but for the `free` ones: skull and neck away from the face, and the still ones."""
    free = free or set()
    vertices, groups = spread.skin.vertices, spread.skin.groups
    outline = vertices[list(points.FACE_OVAL)]
    away = np.linalg.norm(vertices[:, None] - outline[None], axis=2).min(1)
    still = {*STILL, *(np.flatnonzero(away[points.SKIN_POINTS :] > FADE) + points.SKIN_POINTS).tolist()}
    still |= {*points.RIGHT_EYE, *points.LEFT_EYE, *points.RIGHT_BROW, *points.LEFT_BROW}
    still |= set(np.concatenate([groups[name] for name in ("mouth2", "mouth3", "throat")]).tolist())
    still -= set(np.concatenate([groups[name] for name in ("mouth1", "lids_left", "lids_right")]).tolist())
    return {vertex: np.zeros(3) for vertex in still - free}


def _turned(place: np.ndarray, degrees: float) -> np.ndarray:
    """Way of places (N, 3) when the jaw opens by so many degrees."""
    angle = np.radians(degrees)
    y, z = (place - JOINT).T[1:]
    turned = np.stack([np.zeros_like(y), y * np.cos(angle) - z * np.sin(angle),
                       y * np.sin(angle) + z * np.cos(angle)], 1)  # fmt: skip
    return turned - np.stack([np.zeros_like(y), y, z], 1)


def _jaw_share(spread: Spread) -> dict[int, float]:
    """How far vertices go with the jaw: lower lip and chin wholly, corners of the mouth half."""
    share: dict[int, float] = {vertex: 1.0 for vertex in (*CHIN, *LOWER_LIP)}
    share.update(JAW_SIDE)
    for ring in points.LIPS_LOWER_RINGS:
        for k, vertex in enumerate(ring):
            away = abs(k - 5) / 5
            share[vertex] = 1 - 0.55 * away**2.5
    for vertex in UPPER_LIP:
        share.setdefault(vertex, 0.0)
    for ring in points.LIPS_UPPER_RINGS:
        for k, vertex in enumerate(ring[1:-1], 1):
            away = abs(k - 5) / 5
            share[vertex] = 0.30 * away**2
    groups = spread.skin.groups
    for name, most in (("mouth2", 1.0), ("mouth3", 0.8)):
        rim = spread.skin.vertices[groups[name]]
        low = rim[:, 1] < spread.skin.vertices[13, 1]
        share.update(zip(groups[name].tolist(), (most * low).tolist(), strict=True))
    return share


def _jaw(spread: Spread, others: Mapping[str, np.ndarray]) -> Makers:
    vertices, share = spread.skin.vertices, _jaw_share(spread)

    def made(way: Callable[[np.ndarray], np.ndarray]) -> Shape:
        ways = _hold(spread, set(share))
        moved = way(vertices)
        ways.update({vertex: part * moved[vertex] for vertex, part in share.items()})
        rest = {name: way(others[name]) for name in ("lower_teeth", "tongue")}
        return spread.of(ways), rest

    def to(x: float, z: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda place: np.tile([x, 0.0, z], (len(place), 1))

    lever = np.hypot(*(vertices[14] - JOINT)[1:])
    drop = float(np.degrees(GAP_PER_JAW / lever)) * 1.06  # corrected to the very gap when all is assembled
    return {
        "jawOpen": lambda: made(lambda place: _turned(place, drop)),
        "jawForward": lambda: made(to(0.0, 0.04)),
        "jawLeft": lambda: made(to(0.045, 0.0)),
        "jawRight": lambda: made(to(-0.045, 0.0)),
    }


def _mouth(spread: Spread) -> Makers:
    vertices = spread.skin.vertices
    half = vertices[291, 0]
    lips = [*UPPER_LIP, *(v for v in LOWER_LIP if v not in UPPER_LIP)]

    def depth(vertex: int) -> float:
        """0 at the outer border of a lip, 1 at the inner."""
        for rings in (points.LIPS_UPPER_RINGS, points.LIPS_LOWER_RINGS):
            for number, ring in enumerate(rings):
                if vertex in ring[1:-1]:
                    return number / (len(rings) - 1)
        return 0.5

    def side(vertex: int) -> float:
        """−1 at the person's right corner, 1 at the left one."""
        return float(np.clip(vertices[vertex, 0] / half, -1, 1))

    def towards(vertex: int, name: str) -> float:
        """How much a vertex of the lips belongs to a side, 0..1."""
        return float(np.clip(0.5 + 0.5 * SIGN[name] * side(vertex) * 1.6, 0, 1))

    def arch(vertex: int) -> float:
        return 1 - abs(side(vertex)) ** 2.5

    def made(way: Callable[[int], Way], more: Ways | None = None) -> Shape:
        more = more or {}
        ways = _hold(spread, set(more) | set(lips))
        ways.update({vertex: np.array(way(vertex)) for vertex in lips})
        ways.update({vertex: np.asarray(value, float) for vertex, value in more.items()})
        return spread.of(ways), {}

    upper, lower = set(UPPER_LIP) - set(LOWER_LIP), set(LOWER_LIP) - set(UPPER_LIP)
    corners = set(UPPER_LIP) & set(LOWER_LIP)

    def of_corner(name: str, way: Way, reach: float = 1.3, cheek: Way = (0, 0, 0)) -> Shape:
        x, y, z = way

        def at(vertex: int) -> Way:
            share = max(0.0, SIGN[name] * side(vertex)) ** reach
            return (SIGN[name] * x * share, y * share, z * share)

        cx, cy, cz = cheek
        return made(
            at,
            {vertex: np.array([SIGN[name] * cx, cy, cz]) for vertex in CHEEK[name]} if any(cheek) else None,
        )

    def funnel(vertex: int) -> Way:
        out = 0.045 * (0.55 + 0.45 * depth(vertex)) * (1 - 0.45 * abs(side(vertex)))
        return (
            -0.16 * vertices[vertex, 0],
            (0.006 if vertex in upper else -0.006) * arch(vertex) * (1 - depth(vertex)),
            out,
        )

    def pucker(vertex: int) -> Way:
        out = 0.058 * (0.6 + 0.4 * depth(vertex)) * (1 - 0.40 * abs(side(vertex)))
        thick = 0.010 * arch(vertex) * (1 - depth(vertex))
        return (-0.36 * vertices[vertex, 0], thick if vertex in upper else -thick, out)

    def closing(vertex: int) -> Way:
        share = 0.72 if vertex in lower else -0.28 if vertex in upper else 0.22
        return (
            0.0,
            GAP_PER_JAW * share * (arch(vertex) if vertex not in corners else 1),
            0.012 * (vertex in lower) * arch(vertex),
        )

    def roll(which: set[int], lift: float) -> Callable[[int], Way]:
        def at(vertex: int) -> Way:
            if vertex not in which:
                return (0, 0, 0)
            hidden = 1 - depth(vertex)
            return (0, lift * hidden * arch(vertex), -(0.014 + 0.016 * hidden) * arch(vertex))

        return at

    def press(name: str) -> Callable[[int], Way]:
        def at(vertex: int) -> Way:
            flat = 0.011 * (1 - depth(vertex)) * arch(vertex) * towards(vertex, name)
            y = -flat if vertex in upper else flat if vertex in lower else 0
            return (
                0.006 * side(vertex) * towards(vertex, name),
                y,
                -0.008 * towards(vertex, name) * arch(vertex),
            )

        return at

    def lift(which: set[int], amount: float, name: str) -> Callable[[int], Way]:
        def at(vertex: int) -> Way:
            share = towards(vertex, name) * arch(vertex) * (vertex in which)
            return (0, amount * share, 0.15 * abs(amount) * share)

        return at

    def shift(amount: float) -> Shape:
        return made(lambda vertex: (amount, 0, -0.02 * (side(vertex) * amount > 0) * abs(side(vertex))))

    def shrug(which: set[int], amount: float, chin: float) -> Shape:
        more = (
            {vertex: np.array([0, chin, 0.6 * chin]) for vertex in (200, 199, 201, 421, 18)} if chin else None
        )
        # Both lips rise together: what is shut stays shut.
        return made(
            lambda vertex: (
                0,
                amount * arch(vertex) * (1 if vertex in which else 0.9),
                0.7 * amount * arch(vertex),
            ),
            more,
        )

    shapes: Makers = {
        "mouthClose": lambda: made(closing),
        "mouthFunnel": lambda: made(funnel),
        "mouthPucker": lambda: made(pucker),
        "mouthLeft": lambda: shift(0.05),
        "mouthRight": lambda: shift(-0.05),
        "mouthRollLower": lambda: made(roll(lower, 0.016)),
        "mouthRollUpper": lambda: made(roll(upper, -0.014)),
        "mouthShrugLower": lambda: shrug(lower, 0.020, 0.020),
        "mouthShrugUpper": lambda: shrug(upper, 0.016, 0.0),
    }
    for name in ("Left", "Right"):
        shapes[f"mouthSmile{name}"] = lambda name=name: of_corner(
            name, (0.034, 0.046, -0.022), 1.5, (0.008, 0.020, 0.012)
        )
        shapes[f"mouthFrown{name}"] = lambda name=name: of_corner(name, (0.006, -0.038, -0.006), 1.7)
        shapes[f"mouthDimple{name}"] = lambda name=name: of_corner(name, (0.020, 0.006, -0.026), 1.6)
        shapes[f"mouthStretch{name}"] = lambda name=name: of_corner(name, (0.036, -0.010, -0.020), 1.1)
        shapes[f"mouthPress{name}"] = lambda name=name: made(press(name))
        shapes[f"mouthLowerDown{name}"] = lambda name=name: made(lift(lower, -GAP_PER_LOWER, name))
        shapes[f"mouthUpperUp{name}"] = lambda name=name: made(lift(upper, GAP_PER_UPPER, name))
    return shapes


def _eyes(spread: Spread, others: Mapping[str, np.ndarray]) -> Makers:
    vertices, groups = spread.skin.vertices, spread.skin.groups
    shapes: Makers = {}
    for name in ("Left", "Right"):
        own = name.lower()
        upper = points.LEFT_EYE_UPPER if name == "Left" else points.RIGHT_EYE_UPPER
        lower = points.LEFT_EYE_LOWER if name == "Left" else points.RIGHT_EYE_LOWER
        ring = dict(zip(groups[f"lids_{own}_of"].tolist(), groups[f"lids_{own}"].tolist(), strict=True))
        centre = eye_centre(own)

        def lids(
            up: float, low: float, cheek: float = 0.0, name: str = name, upper: tuple[int, ...] = upper,
            lower: tuple[int, ...] = lower, ring: dict[int, int] = ring, centre: np.ndarray = centre,
        ) -> np.ndarray:  # fmt: skip
            """up: share of the opening that the upper lid comes down. low: that the lower one goes up."""
            free = {*upper, *lower, *ring.values()}
            ways = _hold(spread, free)
            for high, deep in zip(upper, lower, strict=True):
                opening = vertices[deep] - vertices[high]
                for vertex, share in ((high, up), (deep, -low)):
                    goal = vertices[vertex] + share * opening
                    away = goal - centre
                    least = EYE_RADIUS + LID_CLEARANCE
                    if np.linalg.norm(away) < least * 1.05 and abs(share) > 0:
                        goal = centre + away / np.linalg.norm(away) * least * 1.05
                    ways[vertex] = goal - vertices[vertex]
                    if vertex in ring:
                        ways[ring[vertex]] = ways[vertex] * [1, 1, 1]
            for corner in (upper[0], upper[-1]):
                ways[corner] = ways[ring[corner]] = np.zeros(3)
            for vertex in CHEEK[name][2:]:
                ways[vertex] = np.array([0, cheek, 0.3 * cheek])
            return spread.of(ways)

        shapes[f"eyeBlink{name}"] = lambda lids=lids: (lids(0.98, 0.08), {})
        shapes[f"eyeSquint{name}"] = lambda lids=lids: (lids(0.12, 0.30, 0.016), {})
        shapes[f"eyeWide{name}"] = lambda lids=lids: (lids(-0.28, -0.08), {})
        for where, degrees in GAZE_DEG.items():
            inward = -SIGN[name]
            across = {"In": inward, "Out": -inward}.get(where, 0.0) * degrees
            upward = {"Up": 1.0, "Down": -1.0}.get(where, 0.0) * degrees
            eye = f"eye_{own}"
            ball = _gaze(others[eye], centre, across, upward)
            follow = LID_FOLLOWS.get(where, 0.0)
            shapes[f"eyeLook{where}{name}"] = lambda lids=lids, follow=follow, ball=ball, eye=eye: (
                lids(follow, -0.15 * follow) if follow else np.zeros_like(vertices), {eye: ball},
            )  # fmt: skip
    return shapes


def _gaze(ball: np.ndarray, centre: np.ndarray, across: float, upward: float) -> np.ndarray:
    """Ways of an eyeball that turns by degrees to +x and up; the chord a little longer, as it is half way."""
    a, u = np.radians(across), np.radians(upward)
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(u), np.sin(u)], [0, -np.sin(u), np.cos(u)]])
    turned: np.ndarray = (ball - centre) @ (about_y @ about_x).T + centre - ball
    return turned


def _upper_face(spread: Spread) -> Makers:
    vertices = spread.skin.vertices

    def made(ways: Ways) -> Shape:
        held = _hold(spread, set(ways))
        lips = (*UPPER_LIP, *LOWER_LIP)
        held.update({vertex: np.zeros(3) for vertex in lips if vertex not in ways})
        held.update(ways)
        return spread.of(held), {}

    def brow(name: str, inner: float, outer: float, knit: float = 0.0) -> Ways:
        """Heights by which the ends of a brow rise, and how far it goes towards the middle."""
        ways: Ways = {}
        for line in BROWS[name]:
            xs = np.abs(vertices[list(line), 0])
            outward = (xs - xs.min()) / np.ptp(xs)
            for vertex, share in zip(line, outward, strict=True):
                rise = inner + (outer - inner) * share
                ways[vertex] = np.array([-SIGN[name] * knit * (1 - share), rise, 0.15 * rise])
        return ways

    shapes: Makers = {
        "browInnerUp": lambda: made({**brow("Left", 0.045, 0.006), **brow("Right", 0.045, 0.006),
                                     9: np.array([0, 0.035, 0.0])}),
        "cheekPuff": lambda: made({vertex: np.array([SIGN[name] * 0.045, 0, 0.030])
                                   for name in SIGN for vertex in CHEEK_BELOW[name]}),
    }  # fmt: skip
    for name in ("Left", "Right"):
        shapes[f"browDown{name}"] = lambda name=name: made(brow(name, -0.030, -0.012, 0.014))
        shapes[f"browOuterUp{name}"] = lambda name=name: made(brow(name, 0.006, 0.045))
        shapes[f"cheekSquint{name}"] = lambda name=name: made(
            {vertex: np.array([0, 0.022, 0.014]) for vertex in CHEEK[name]})  # fmt: skip
        shapes[f"noseSneer{name}"] = lambda name=name: made(
            {vertex: np.array([0.006 * SIGN[name], 0.022, 0.006]) for vertex in WING[name]})  # fmt: skip
    return shapes


def _tongue_out(tongue: np.ndarray) -> np.ndarray:
    ahead = (tongue[:, 2] - tongue[:, 2].min()) / np.ptp(tongue[:, 2])
    return np.stack([np.zeros_like(ahead), 0.045 * ahead, 0.17 * ahead], 1)
