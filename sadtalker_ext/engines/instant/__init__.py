"""The engine `instant`: lips, head and eyes by small models and procedures, drawn by warping the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...tracks import ARKIT, MotionTrack
from ..base import Check, Engine, Need, Report, enhancers, face_finders, has_module, packages

if TYPE_CHECKING:
    from ...audio import Speech
    from ...face import Portrait
    from ...host import Host
    from ...options import Options
    from ..base import Renderer

# What a louder or quieter expression scales: amounts of opening and raising, never the closures of
# /p b m/ and /f v/, which are reached or missed.
SCALED_COLUMNS: tuple[str, ...] = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthStretchLeft", "mouthStretchRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "browDownLeft", "browDownRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "cheekSquintLeft", "cheekSquintRight",
)  # fmt: skip


def needs(models_dir: Path) -> tuple[Need, ...]:
    phones = Need(
        "pocketsphinx",
        has_module("pocketsphinx"),
        "pip install pocketsphinx (better lips: it recognises the sounds of speech)",
        optional=True,
    )
    return (*packages(), phones, *face_finders(), *enhancers())


def motion(
    speech: Speech, frames: int, options: Options, renderer: Renderer | None, check: Check, report: Report
) -> MotionTrack:
    """Lips from the speech, head, eyes and brows by seeded procedures, overridden by what was asked for.

    Returns `frames` rows in the ARKit space at `options.fps`.
    """
    from ... import motion as generators

    fps = options.fps
    # Reference videos first: when one cannot be used, that is known before the long listening.
    blinks = None
    if options.ref_blink is not None:
        blinks = generators.track_reference(
            options.ref_blink, fps=fps, channels="blink", frames=frames, check=check
        )
    if options.ref_pose is None:
        pose = generators.generate_head(
            speech,
            fps=fps,
            frames=frames,
            seed=options.seed,
            head_motion=options.head_motion,
            still=options.still,
            check=check,
        )
    else:
        pose = generators.track_reference(
            options.ref_pose, fps=fps, channels="pose", frames=frames, check=check
        )
    if options.idle is None:
        track = generators.generate_lips(
            speech,
            fps=fps,
            frames=frames,
            method=options.lips,
            manner=options.manner,
            mix=options.manner_mix,
            share=options.manner_share,
            check=check,
            progress=report,
        )
    else:
        track = MotionTrack.rest(frames, fps)
    made_by = {"lips": track.provenance, "pose": pose.provenance}
    ramps = {"headYaw": options.yaw, "headPitch": options.pitch, "headRoll": options.roll}
    pose = pose.with_columns(
        {name: generators.ramp(values, frames) for name, values in ramps.items() if values is not None}
    )
    eyes = generators.generate_eyes(
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


def build_renderer(portrait: Portrait, options: Options, host: Host) -> Renderer:
    from .warp.renderer import WarpRenderer

    return WarpRenderer(portrait, device=host.device())


INSTANT = Engine(
    name="instant",
    summary="warps the picture itself; no download, real time on a CPU, photos and drawings alike",
    space=ARKIT,
    composition={
        "lips": "recognised phones or VisemeNet, mixed with signal processing; or a prior over codes",
        "pose": "procedural, follows the prosody",
        "eyes": "procedural blinks, gaze and brows",
        "render": "mesh warp of the picture",
    },
    needs=needs,
    motion=motion,
    renderer=build_renderer,
)
