"""The engine sadtalker at work: ExpNet's expressions and PoseVAE's head motion, drawn by its face render."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...audio import UNSPOKEN
from ...host import Check
from ...tracks import BFM, MotionTrack
from ..portraits import PortraitActor

if TYPE_CHECKING:
    from ...audio import Speech
    from ...options import Options
    from .render import FaceRenderer


FPS = 25.0  # of the networks; other rates are interpolated from it
EXPRESSION, POSE = slice(0, 64), slice(64, 70)
QUIET = 0.12  # loudness (see `audio.features.loudness`) below which nobody is taken to speak
HOLD_S = 0.16  # the mouth stays in use that long before and after sound
AT_REST = 0.02  # of the gate; where it never opens further nobody speaks
SETTLE_S = 0.06  # smoothing of the gate


class SadTalkerActor(PortraitActor):
    """A portrait with the networks that move and draw it."""

    engine = "sadtalker"
    space = BFM
    renderer: FaceRenderer

    def prepare(self) -> FaceRenderer:
        """Raises `WeightsError` where files are missing or damaged."""
        from .crop import as_mode
        from .loading import load_networks
        from .render import FaceRenderer

        options, host = self.options, self.run.host
        place, device, turbo = host.models_dir(), host.device(), options.turbo
        networks = load_networks(
            place, int(options.size), device, options.precision, turbo=turbo, compiled=options.compile
        )
        step = networks.turbo_step if turbo else 1
        mode, batch = as_mode(options.crop), options.batch_size
        return FaceRenderer(self.subject, networks, mode, batch=batch, step=step)

    def motion(self, speech: Speech) -> MotionTrack:
        """Rows at `options.fps` in the `bfm` space, for this portrait."""
        import torch

        from ...motion import code_lips
        from .coefficients import blink_schedule, turns
        from .mel import SAMPLES_PER_FRAME, mel_spectrogram
        from .speech_driven import face_coefficients, pose_noise

        options, run, frames = self.options, self.run, self.frames(speech)
        face = self.renderer
        source = face.source.coefficients
        count = max(1, math.ceil(speech.duration * FPS - 1e-6))
        rng = np.random.default_rng(options.seed)
        # What is followed, and the weights, first: when they cannot be used, that is known before the
        # listening.
        prior = code_lips.bfm_prior(face.networks.sources.folder) if options.lips == "codes" else None
        shut = _followed_blinks(options, count, run.check)
        videos = {name for name in (options.ref_face, options.ref_pose) if name is not None}
        seen = {name: _followed_face(name, face, count, run.check) for name in videos}
        if shut is None:
            shut = blink_schedule(count, rng, options.blink_rate)
        shut = np.asarray(shut, np.float32)
        heard = count * SAMPLES_PER_FRAME
        mel = None if speech.is_idle else mel_spectrogram(speech.samples, heard)
        rows = face_coefficients(
            mel,
            count,
            source,
            shut=shut,
            noise=pose_noise(count, options.seed),
            style=options.pose_style,
            expnet=face.networks.expnet,
            posevae=face.networks.posevae,
            check=run.check,
            report=run.stage("motion"),
        )
        made_by: dict[str, object] = {"lips": "ExpNet", "pose": f"PoseVAE, style {options.pose_style}"}
        rest = source[: rows.shape[1]]
        if options.ref_face is not None:
            followed = seen[options.ref_face]
            rows[:, EXPRESSION] = followed[:, EXPRESSION]
            rows[:, POSE] = rest[POSE] + followed[:, POSE] - followed[:1, POSE]
            made_by["lips"] = made_by["pose"] = f"followed from {Path(options.ref_face).name}"
        if options.ref_pose is not None and options.ref_pose != options.ref_face:
            followed = seen[options.ref_pose]
            if options.ref_face is not None:
                rows[:, POSE] = rest[POSE]
            rows[:, POSE] += followed[:, POSE] - followed[:1, POSE]
            made_by["pose"] = f"followed from {Path(options.ref_pose).name}"
        if options.still:
            rows[:, POSE] = rest[POSE]
        rows[:, POSE] = rest[POSE] + options.head_motion * (rows[:, POSE] - rest[POSE])
        if options.ref_face is None:
            gate = np.full((count, 1), np.float32(options.lip_gain))
            if mel is not None and options.silence_gate:
                spoken = speaking(speech.samples, count)
                if not speech.is_silent and spoken.max() < AT_REST:
                    run.notice(UNSPOKEN)
                gate *= spoken[:, None]
            lids = face.networks.expnet.lids(torch.from_numpy(shut[:, None]).to(face.networks.device))
            closing = lids.cpu().numpy()  # blinks neither rest nor grow with the lips
            said = rows[:, EXPRESSION] - closing - rest[EXPRESSION]
            if mel is not None and prior is not None:
                shares = prior.shares(options.manner, options.manner_mix, options.manner_share)
                said = code_lips.expressions(speech.samples, prior, shares, FPS, count, run.check)
                made_by["lips"] = {"code prior": prior.sha256}
            rows[:, EXPRESSION] = rest[EXPRESSION] + gate * said + closing
        rows[:, EXPRESSION] *= np.float32(options.expression_scale)
        view = np.zeros((count, 6), np.float32)
        for axis, angles in enumerate((options.yaw, options.pitch, options.roll)):
            if angles is not None:
                view[:, axis], view[:, 3 + axis] = turns(angles, count), 1
        track = MotionTrack(BFM, FPS, np.concatenate([rows, view], axis=1), made_by)
        return track.resampled(options.fps).fitted(frames)

    def without_lips(self, track: MotionTrack) -> MotionTrack:
        """Of the expression only what shuts the eyes, for lips have no coefficients of their own."""
        import torch

        face = self.renderer
        rest = face.source.coefficients[EXPRESSION]
        one = torch.ones(1, 1, device=face.networks.device)
        lids = face.networks.expnet.lids(one)[0].cpu().numpy()
        data = track.data.copy()
        shut = np.clip((data[:, EXPRESSION] - rest) @ lids / max(float(lids @ lids), 1e-9), 0, 1)
        data[:, EXPRESSION] = rest + shut[:, None] * lids
        return replace(track, data=data)


def speaking(samples: np.ndarray, frames: int) -> np.ndarray:
    """(frames,) float32 0..1 at 25 frames/s: 1 where somebody speaks, 0 where the mouth may rest."""
    from ...audio.features import FEATURE_RATE, loudness, smooth

    loud = loudness(samples) > QUIET
    reach = round(HOLD_S * FEATURE_RATE)
    spread = np.convolve(loud, np.ones(2 * reach + 1), mode="same") > 0
    gate = smooth(spread.astype(np.float32), SETTLE_S * FEATURE_RATE)
    at = (np.arange(frames) + 0.5) / FPS
    return np.interp(at, np.arange(len(gate)) / FEATURE_RATE, gate).astype(np.float32)


def _followed_blinks(options: Options, frames: int, check: Check) -> np.ndarray | None:
    """(frames,) how far the eyes of the reference video are shut; its lips are left alone."""
    if options.ref_blink is None:
        return None
    from ...motion import track_reference

    track = track_reference(options.ref_blink, fps=FPS, channels="blink", frames=frames, check=check)
    return (track.column("eyeBlinkLeft") + track.column("eyeBlinkRight")) / 2


def _followed_face(video: str, face: FaceRenderer, frames: int, check: Check) -> np.ndarray:
    """(frames, 70) coefficients of a face, played to and fro where they are few.

    video: a video, or a motion file in the `bfm` space.
    """
    from ...motion import reference_track
    from .coefficients import looped
    from .render.reference import video_coefficients

    track = reference_track(video, BFM)
    if track is not None:
        return looped(track.resampled(FPS).data[:, : POSE.stop], frames)
    return looped(video_coefficients(video, face.networks.recon, frames, check), frames)
