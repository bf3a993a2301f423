"""Turns an ARKit motion track into what each frame asks of the warp: movements, head angles, eyes, mouth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from ....tracks import ARKIT_BLENDSHAPES, HEAD_POSE, MotionTrack, lips
from .basis import MOVE_INDEX, MOVES
from .frame import MouthMeasures
from .layers import MouthPose

NARROW_PUCKER = 0.36  # share of the mouth's width that a full pucker takes away
NARROW_FUNNEL = 0.16
NARROW_JAW = 0.06  # a dropping jaw pulls the corners in
ROUND_OPENING = 0.9  # fw of opening beside the corners for each fw in the middle, lips fully rounded
WIDEN_STRETCH = 0.17
WIDEN_SMILE = 0.08
WIDEN_DIMPLE = 0.06
RELAX_WIDTH = 0.45  # share of a smile's extra width that speech takes back, all of it for a pucker
RELAX_LIFT = 0.55  # the same for the corners' height
LOWER_SHARE_CLOSING = 0.72  # of a gap taken away beyond the jaw's own, the rest by the upper lip
LABIODENTAL_LIFT = 0.010  # fw that both lips rise so that the lower one meets the teeth
ROUND_LOOKS_OPEN = 0.6  # share of the opening, found with a face mesh tracker over photos and drawings
ROUND_AT_MOST = 0.018  # fw
SLIT_LOOKS_OPEN = 0.45  # share of a narrow opening
SLIT = 0.025  # fw
LEAST_GAIN = 0.6  # of a lip's motion over what was asked, to which more asking makes up
OVERLAP = 0.004  # fw by which shut lips overlap, so that no light falls between them
LEAST = np.array([-1.0] * len(ARKIT_BLENDSHAPES) + [-180.0] * len(HEAD_POSE), np.float32)
MOST = np.array([1.5] * len(ARKIT_BLENDSHAPES) + [180.0] * len(HEAD_POSE), np.float32)
AXES = ("yaw", "pitch", "roll")
SOFT_KNEE = 0.8  # share of a limit up to which angles are followed exactly


@dataclass(frozen=True, eq=False)
class Controls:
    """Per-frame demands of a whole track, arrays of length T.

    moves: (T, len(MOVES)) amounts. gap: fw shown between the lips. seal: 0..1, how far the picture's own
    opening is closed. angles: (T, 3) degrees yaw, pitch, roll as applied. blink, squint, wide: (T, 2) for the
    person's left and right eye. look: (T, 2), −1..1 to the picture's right and down. jaw, rounding, teeth,
    tongue: what the mouth's inside shows, 0..1.
    """

    moves: np.ndarray
    gap: np.ndarray
    seal: np.ndarray
    angles: np.ndarray
    blink: np.ndarray
    squint: np.ndarray
    wide: np.ndarray
    look: np.ndarray
    jaw: np.ndarray
    rounding: np.ndarray
    teeth: np.ndarray
    tongue: np.ndarray

    def __len__(self) -> int:
        return len(self.moves)

    def mouth(self, index: int) -> MouthPose:
        """What the mouth does in one frame."""
        return MouthPose(*(float(getattr(self, field.name)[index]) for field in fields(MouthPose)))


def shown_gap(track: MotionTrack, own_gap: float, closes: float = 1.0) -> np.ndarray:
    """(T,) fw between the lips that a picture with an own gap of `own_gap` fw shows.

    closes: share of its own gap that can be shut.
    """
    return (own_gap * (1 - closes * _in_use(track)) + lips.opening(track)).astype(np.float32)


def _in_use(track: MotionTrack) -> np.ndarray:
    """(T,) how far the lips have left the picture's own expression, 0..1."""
    return np.asarray(1 - (1 - lips.activity(track)) * (1 - lips.closure(track)))


def closes(own_gap: float, lip_gain: Mapping[str, float], limits: Mapping[str, float]) -> float:
    """Share 0..1 of the picture's own gap that can be shut: less at its border, or where skin would fold."""
    if not own_gap:
        return 1.0
    return float(np.clip(-lip_gain["seal"] * limits["seal"] / own_gap, 0, 1))


def soft_limit(value: np.ndarray, limit: float) -> np.ndarray:
    """`value` up to most of ±`limit`, then approaching it smoothly."""
    knee = SOFT_KNEE * limit
    beyond = np.maximum(np.abs(value) - knee, 0)
    bent = knee + (limit - knee) * np.tanh(beyond / (limit - knee))
    return np.where(beyond > 0, np.sign(value) * bent, value)


def read_controls(
    track: MotionTrack,
    mouth: MouthMeasures,
    own_gap: float,
    rim: float,
    lip_gain: Mapping[str, float],
    limits: Mapping[str, float],
    gain: Mapping[str, float],
    brows: float = 1.0,
) -> Controls:
    """The demands of every frame of an ARKit track on one picture.

    own_gap, rim: fw, see `FaceFrame`. lip_gain: fw of lip gap per unit of each movement. limits: see
    `measure_limits`. gain: factor by which yaw, pitch, roll are enlarged.
    brows: scale of the brows' and the upper cheeks' motion.
    """
    # What no face does would only send the lips out of the picture.
    track = replace(track, data=np.clip(track.data, LEAST, MOST))
    column = track.column
    pair = {side: side.capitalize() for side in ("left", "right")}

    def sides(name: str) -> np.ndarray:
        return np.stack([column(f"{name}Left"), column(f"{name}Right")], 1)

    seal = limits["seal"] * _in_use(track)
    gap = shown_gap(track, own_gap, closes(own_gap, lip_gain, limits))
    jaw = np.clip(column("jawOpen"), 0, 1) * limits["jaw"]
    pucker, funnel = column("mouthPucker"), column("mouthFunnel")
    narrow = NARROW_PUCKER * pucker + NARROW_FUNNEL * funnel * (1 - pucker)
    relaxed = seal * (RELAX_WIDTH + (1 - RELAX_WIDTH) * np.clip(pucker + funnel, 0, 1))
    excess = mouth.excess / mouth.half

    moves = np.zeros((len(track), len(MOVES)), np.float64)

    def put(name: str, value: np.ndarray) -> None:
        moves[:, MOVE_INDEX[name]] = value

    put("jaw", jaw)
    put("jaw_side", column("jawLeft") - column("jawRight"))
    put("seal", seal)
    put("shift", 0.03 * (column("mouthLeft") - column("mouthRight")))
    for side, name in pair.items():
        wider = WIDEN_STRETCH * column(f"mouthStretch{name}") + WIDEN_SMILE * column(f"mouthSmile{name}")
        wider = wider + WIDEN_DIMPLE * column(f"mouthDimple{name}")
        base = (1 - excess * relaxed) * (1 - narrow) - 1
        put(f"wide_{side}", base + wider * (1 - 0.6 * np.clip(pucker, 0, 1)) - NARROW_JAW * jaw)
        put(f"smile_{side}", column(f"mouthSmile{name}"))
        put(f"frown_{side}", 0.02 * column(f"mouthFrown{name}") + mouth.lift * RELAX_LIFT * seal)
        put(f"cheek_{side}", brows * column(f"cheekSquint{name}"))
        put(f"sneer_{side}", brows * column(f"noseSneer{name}"))
        put(f"brow_{side}", brows * column(f"browOuterUp{name}"))
        put(f"knit_{side}", brows * column(f"browDown{name}"))
    put("brow_inner", brows * column("browInnerUp"))
    put("pout", np.clip(pucker + 0.6 * funnel, 0, 1) * (1 - 0.7 * lips.closure(track)))
    put("round", ROUND_OPENING * gap * np.clip(pucker + funnel, 0, 1))
    put("press", lips.closure(track))
    labiodental = np.clip(column("mouthRollLower"), 0, 1)
    put("roll_lower", labiodental)
    put("roll_upper", column("mouthRollUpper"))
    put("shrug", (column("mouthShrugLower") + column("mouthShrugUpper")) / 2)
    put("puff", column("cheekPuff"))

    _open_lips(moves, gap, own_gap, rim, seal, labiodental, track, lip_gain)
    turns = [soft_limit(column(f"head{axis.capitalize()}") * gain[axis], limits[axis]) for axis in AXES]
    upper = sides("mouthUpperUp").mean(1)
    return Controls(
        moves=moves.astype(np.float32),
        gap=gap,
        seal=seal.astype(np.float32),
        angles=_within(np.stack(turns, 1), limits),
        blink=np.clip(sides("eyeBlink"), 0, 1),
        squint=np.clip(sides("eyeSquint"), 0, 1),
        wide=np.clip(sides("eyeWide"), 0, 1),
        look=_look(track),
        jaw=jaw,
        rounding=np.clip(np.maximum(pucker, funnel), 0, 1),
        teeth=np.clip(0.35 + 0.65 * upper, 0, 1),
        tongue=np.clip(2 * column("tongueOut"), 0, 1),
    )


def _open_lips(
    moves: np.ndarray,
    gap: np.ndarray,
    own_gap: float,
    rim: float,
    seal: np.ndarray,
    labiodental: np.ndarray,
    track: MotionTrack,
    lip_gain: Mapping[str, float],
) -> None:
    """Fill in how far the two lips move so that exactly `gap` is seen between them."""
    upper = LABIODENTAL_LIFT * labiodental
    rest = ((name, index) for name, index in MOVE_INDEX.items() if name not in ("upper", "lower"))
    others = sum(lip_gain[name] * moves[:, index] for name, index in rest)
    # Rounded lips look further open than they are (the lips' inner red turns outward), and so do narrow
    # openings, of which the shade beside them is taken for a part.
    # The picture's own opening needs no such correction.
    looks_open = np.minimum(ROUND_LOOKS_OPEN * gap, ROUND_AT_MOST) * np.clip(column_rounding(track), 0, 1)
    narrowed = (gap - looks_open) * (1 - SLIT_LOOKS_OPEN * np.exp(-(gap - looks_open) / SLIT))
    gap = gap + (narrowed - gap) * seal
    shut = OVERLAP * seal * np.clip(1 - gap / OVERLAP, 0, 1)
    missing = gap - shut - 2 * rim * seal - own_gap - others - lip_gain["upper"] * upper
    by_upper = lips.GAP_PER_UPPER * (column_mean(track, "mouthUpperUp"))
    by_lower = lips.GAP_PER_LOWER * (column_mean(track, "mouthLowerDown"))
    opening_share = 1 - (by_upper + 1e-4) / (by_upper + by_lower + 3e-4)
    lower_share = np.where(missing < 0, LOWER_SHARE_CLOSING, np.clip(opening_share, 0.4, 0.8))
    # Close to the picture's border lips move less than they should; asking for ever more would tear them.
    lower_gain, upper_gain = (max(lip_gain[name], LEAST_GAIN) for name in ("lower", "upper"))
    moves[:, MOVE_INDEX["lower"]] = missing * lower_share / lower_gain
    moves[:, MOVE_INDEX["upper"]] = upper + missing * (1 - lower_share) / upper_gain


def column_rounding(track: MotionTrack) -> np.ndarray:
    """How rounded the lips are, (T,)."""
    return np.maximum(track.column("mouthPucker"), track.column("mouthFunnel"))


def column_mean(track: MotionTrack, name: str) -> np.ndarray:
    """Mean of a coefficient's left and right columns, (T,)."""
    return (track.column(f"{name}Left") + track.column(f"{name}Right")) / 2


def _look(track: MotionTrack) -> np.ndarray:
    column = track.column
    right = column("eyeLookOutLeft") - column("eyeLookInLeft")
    right = right + column("eyeLookInRight") - column("eyeLookOutRight")
    down = column_mean(track, "eyeLookDown") - column_mean(track, "eyeLookUp")
    return np.clip(np.stack([right / 2, down], 1), -1, 1)


def _within(angles: np.ndarray, limits: Mapping[str, float]) -> np.ndarray:
    # Each angle alone is safe up to its limit; together they are safe within an ellipsoid.
    share = np.sqrt(sum((angles[:, i] / limits[name]) ** 2 for i, name in enumerate(AXES)))
    return (angles / np.maximum(1, share / limits["together"])[:, None]).astype(np.float32)
