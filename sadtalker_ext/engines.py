"""The table of engines: what each is composed of, what it needs, and how to get what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which
from types import MappingProxyType
from typing import TYPE_CHECKING

from .errors import EngineError
from .track import ARKIT, MotionSpace, MotionTrack

if TYPE_CHECKING:
    from .audio import Speech
    from .face import Portrait
    from .options import Options
    from .render import Renderer

Check = Callable[[], None]
Report = Callable[[int, int], None]  # done, total

# What a louder or quieter expression scales: amounts of opening and raising, never the closures of
# /p b m/ and /f v/, which are reached or missed.
SCALED_COLUMNS: tuple[str, ...] = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthStretchLeft", "mouthStretchRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "browDownLeft", "browDownRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "cheekSquintLeft", "cheekSquintRight",
)  # fmt: skip


@dataclass(frozen=True)
class Need:
    """Something an engine uses: whether it is there, and how to get it.

    optional: the engine works without it; `remedy` then says what is gained.
    """

    name: str
    present: bool
    remedy: str
    optional: bool = False


@dataclass(frozen=True)
class Engine:
    """A named composition of motion generators and a renderer.

    motion(speech, frames, options, check, report): the motion track, `frames` rows in `space`.
    renderer(portrait, device): everything that depends on the picture alone, ready to render tracks on a
    torch device ("cpu", "cuda" …).
    """

    name: str
    summary: str
    space: MotionSpace
    composition: Mapping[str, str]
    needs: Callable[[], tuple[Need, ...]]
    motion: Callable[[Speech, int, Options, Check, Report], MotionTrack]
    renderer: Callable[[Portrait, str], Renderer]

    def missing(self) -> list[Need]:
        """Needs that must be met before the engine can run."""
        return [need for need in self.needs() if not need.present and not need.optional]


def _has(module: str) -> bool:
    return find_spec(module) is not None


def _instant_needs() -> tuple[Need, ...]:
    return (
        Need("torch", _has("torch"), "pip install torch"),
        Need("safetensors", _has("safetensors"), "pip install safetensors"),
        Need("Pillow", _has("PIL"), "pip install Pillow"),
        Need("OpenCV", _has("cv2"), "pip install opencv-python"),
        Need("imageio-ffmpeg", _has("imageio_ffmpeg") or bool(which("ffmpeg")), "pip install imageio-ffmpeg"),
        Need(
            "mediapipe",
            _has("mediapipe"),
            # Without --no-deps it would bring a second OpenCV over the one that is there.
            'pip install --no-deps "mediapipe>=0.10.5,<=0.10.21" (finds faces; without it, give five points)',
            optional=True,
        ),
        Need(
            "pocketsphinx",
            _has("pocketsphinx"),
            "pip install pocketsphinx (better lips: it recognises the sounds of speech)",
            optional=True,
        ),
        Need(
            "face-alignment",
            _has("face_alignment"),
            "pip install face-alignment (a second face finder; downloads its weights on first use)",
            optional=True,
        ),
    )


def instant_motion(
    speech: Speech, frames: int, options: Options, check: Check, report: Report
) -> MotionTrack:
    """Lips from the speech, head, eyes and brows by seeded procedures, overridden by what was asked for.

    Returns `frames` rows in the ARKit space at `options.fps`.
    """
    from . import motion

    fps = options.fps
    # Reference videos first: when one cannot be used, that is known before the long listening.
    blinks = None
    if options.ref_blink is not None:
        blinks = motion.track_reference(
            options.ref_blink, fps=fps, channels="blink", frames=frames, check=check
        )
    if options.ref_pose is None:
        pose = motion.generate_head(
            speech,
            fps=fps,
            frames=frames,
            seed=options.seed,
            head_motion=options.head_motion,
            still=options.still,
            check=check,
        )
    else:
        pose = motion.track_reference(options.ref_pose, fps=fps, channels="pose", frames=frames, check=check)
    if options.idle is None:
        track = motion.generate_lips(
            speech, fps=fps, frames=frames, method=options.lips, check=check, progress=report
        )
    else:
        track = MotionTrack.rest(frames, fps)
    made_by = {"lips": track.provenance, "pose": pose.provenance}
    ramps = {"headYaw": options.yaw, "headPitch": options.pitch, "headRoll": options.roll}
    pose = pose.with_columns(
        {name: motion.ramp(values, frames) for name, values in ramps.items() if values is not None}
    )
    eyes = motion.generate_eyes(
        speech,
        fps=fps,
        frames=frames,
        seed=options.seed,
        blink_rate=options.blink_rate,
        gaze=options.gaze,
        still=options.still,
        head=pose,
        check=check,
    )
    made_by["eyes"] = eyes.provenance
    track = track.with_channels(pose, ["pose"])
    track = track.with_channels(eyes, ["blink", "gaze", "eyes", "brows", "cheeks"])
    if blinks is not None:
        made_by["blinks"] = blinks.provenance
        track = track.with_channels(blinks, ["blink"])
    if options.expression_scale != 1.0:
        track = _scaled(track, options.expression_scale)
    provenance = {part: dict(value) for part, value in made_by.items()}
    return MotionTrack(ARKIT, fps, track.data, provenance)


def _scaled(track: MotionTrack, scale: float) -> MotionTrack:
    return track.with_columns({name: (track.column(name) * scale).clip(0, 1) for name in SCALED_COLUMNS})


def _instant_renderer(portrait: Portrait, device: str) -> Renderer:
    from .render import WarpRenderer

    return WarpRenderer(portrait, device=device)


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "instant": Engine(
            name="instant",
            summary="warps the picture itself; no download, real time on a CPU, photos and drawings alike",
            space=ARKIT,
            composition={
                "lips": "recognised phones or VisemeNet, mixed with signal processing",
                "pose": "procedural, follows the prosody",
                "eyes": "procedural blinks, gaze and brows",
                "render": "mesh warp of the picture",
            },
            needs=_instant_needs,
            motion=instant_motion,
            renderer=_instant_renderer,
        ),
    }
)


def ready_engines() -> Iterator[Engine]:
    """Engines that can run now, best first."""
    return (engine for engine in ENGINES.values() if not engine.missing())


def choose_engine(name: str) -> Engine:
    """The engine of that name, or for `auto` the best that is ready; `EngineError` says what is missing."""
    if name == "auto":
        best = next(ready_engines(), None)
        if best is not None:
            return best
        name = "instant"
    if name not in ENGINES:
        raise EngineError(f"Unknown engine {name!r}; known engines: {', '.join(ENGINES)}.")
    engine = ENGINES[name]
    missing = engine.missing()
    if missing:
        what = "; ".join(f"{need.name}: {need.remedy}" for need in missing)
        raise EngineError(f"The engine {name} cannot run yet; missing {what}.")
    return engine
