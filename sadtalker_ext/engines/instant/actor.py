"""The engine instant at work: small models and procedures move a portrait, which is warped."""

from __future__ import annotations

from pathlib import Path

from ...audio import UNSPOKEN, Speech
from ...errors import Sentence
from ...motion import track_reference
from ...tracks import ARKIT, MotionTrack, lips
from ..portraits import PortraitActor
from .warp.renderer import WarpRenderer

# What a louder or quieter expression scales: amounts of opening and raising, never the closures of
# /p b m/ and /f v/, which are reached or missed.
SCALED_COLUMNS: tuple[str, ...] = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthStretchLeft", "mouthStretchRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "browDownLeft", "browDownRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "cheekSquintLeft", "cheekSquintRight",
)  # fmt: skip


WELL_SEEN = 0.9  # share of a reference's frames with a face, below which the rest is worth a word


class InstantActor(PortraitActor):
    """A portrait that is warped."""

    engine = "instant"
    space = ARKIT

    def prepare(self) -> WarpRenderer:
        return WarpRenderer(self.subject, device=self.run.host.device())

    def motion(self, speech: Speech) -> MotionTrack:
        """Lips from the speech, the rest by seeded procedures, overridden by what was asked for."""
        from ... import motion as generators

        options, run = self.options, self.run
        fps, frames = options.fps, self.frames(speech)
        # Reference videos first: when one cannot be used, that is known before the long listening.
        blinks = None if options.ref_blink is None else self._followed(options.ref_blink, "blink", frames)
        if options.ref_pose is None:
            pose = generators.generate_head(
                speech,
                fps=fps,
                frames=frames,
                seed=options.seed,
                head_motion=options.head_motion,
                still=options.still,
                check=run.check,
            )
        else:
            pose = self._followed(options.ref_pose, "pose", frames)
        if options.idle is None:
            track = generators.generate_lips(
                speech,
                fps=fps,
                frames=frames,
                method=options.lips,
                manner=options.manner,
                mix=options.manner_mix,
                share=options.manner_share,
                check=run.check,
                progress=run.stage("motion"),
            )
            if not speech.is_silent and lips.opening(track).max() < lips.ACTIVE * lips.GAP_PER_JAW:
                run.notice(UNSPOKEN)
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
            check=run.check,
        )
        made_by["eyes"] = eyes.provenance
        track = track.with_channels(pose, ["pose"])
        track = track.with_channels(eyes, ["blink", "gaze", "eyes", "brows", "cheeks"])
        if blinks is not None:
            made_by["blinks"] = blinks.provenance
            track = track.with_channels(blinks, ["blink"])
        if options.expression_scale != 1.0:
            track = _scaled(track, options.expression_scale)
        return MotionTrack(ARKIT, fps, track.data, {part: dict(value) for part, value in made_by.items()})

    def _followed(self, video: str, channel: str, frames: int) -> MotionTrack:
        """The pose or the blinks of a video, or of a motion file."""
        fps, check = self.options.fps, self.run.check
        track = track_reference(video, fps=fps, channels=channel, frames=frames, check=check)
        seen = track.provenance.get("found")  # of a motion file nothing is known
        if isinstance(seen, float) and seen < WELL_SEEN:
            text = "In {share:.0%} of {video} no face was found; its {channel} was filled in there."
            self.run.notice(Sentence(text, share=1 - seen, video=Path(video), channel=channel))
        return track


def _scaled(track: MotionTrack, scale: float) -> MotionTrack:
    return track.with_columns({name: (track.column(name) * scale).clip(0, 1) for name in SCALED_COLUMNS})
