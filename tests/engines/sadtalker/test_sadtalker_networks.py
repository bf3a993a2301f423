"""SadTalker's networks give what the reference gave, with weights made on the fly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sadtalker_oracle import (
    NETWORKS,
    close,
    close_frame,
    face_render,
    golden,
    needs_oracle,
    network,
    state,
)

from sadtalker_ext.engines.sadtalker.networks.keypoints import rotation_matrix, transform_keypoints
from sadtalker_ext.engines.sadtalker.networks.mapping import bins_to_degrees
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.networks.recon import COLUMNS

pytestmark = needs_oracle


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


def array(group: Any, name: str) -> torch.Tensor:
    return torch.from_numpy(group[name])


def picture(group: Any) -> torch.Tensor:
    return array(group, "source_u8").permute(2, 0, 1)[None].float() / 255


def test_reconstruction() -> None:
    group, recon = golden("recon"), network("face_3drecon")
    pictures = array(group, "image_u8").permute(0, 3, 1, 2).float() / 255
    close(recon.backbone(pictures).flatten(1), group["backbone2048"])
    found = recon(pictures)
    close(found, group["coeff257"])
    for name, columns in COLUMNS.items():
        close(found[:, columns], group[f"split_{name}"])


def test_expressions() -> None:
    group, expnet = golden("audio2exp"), network("audio2exp")
    mel, reference = array(group, "indiv_mels_f32")[:, None], array(group, "ref70")[:, :64]
    close(expnet.audio_encoder(mel[:10]).flatten(1), group["encoder_512_first10"])
    shut = array(group, "ratio")[:, None]
    close(expnet(mel, reference.expand(len(mel), -1), shut), group["exp_coeff"])
    part = expnet(mel[:7], reference.expand(7, -1), shut[:7])
    close(part, group["exp_coeff"][:7])  # frames do not depend on each other


@pytest.mark.parametrize(("frames", "style"), [(75, 0), (75, 45), (20, 3), (33, 10), (65, 10), (1, 0)])
def test_head_motion(frames: int, style: int) -> None:
    group, posevae = golden("audio2pose"), network("audio2pose")
    case = f"T{frames}_style{style}"
    heard = posevae.listen(array(golden("audio2exp"), "indiv_mels_f32")[:frames])
    noise = array(group, f"{case}_z")
    assert len(noise) == PoseVAE.blocks(frames)
    close(posevae.decode(heard, array(group, "ref6"), style, noise), group[f"{case}_motion"])


@pytest.mark.parametrize(("component", "relative"), [("mapping_00229", 1e-5), ("mapping_00109", 1e-4)])
def test_mapping(component: str, relative: float) -> None:
    group, mapping = golden("mapping_kp"), network(component)
    window = array(group, f"{component}_in")
    assert mapping.coefficients == window.shape[1]
    motion = mapping(window)
    for name in ("yaw", "pitch", "roll", "t", "exp"):
        close(getattr(motion, name), group[f"{component}_{name}"], relative=relative)
    for name in ("yaw", "pitch", "roll"):
        degrees = bins_to_degrees(getattr(motion, name))
        close(degrees, group[f"{component}_{name}_deg"], relative=relative)
    canonical = array(group, "kp256_canonical").expand(len(window), -1, -1)
    close(transform_keypoints(canonical, motion), group[f"{component}_kp"], absolute=1e-4)


def test_given_angles_replace_the_predicted_ones() -> None:
    group = golden("mapping_kp")
    motion = network("mapping_00229")(array(group, "mapping_00229_in"))
    canonical = array(group, "kp256_canonical").expand(len(motion.t), -1, -1)
    yaw, roll = array(group, "yaw_in"), array(group, "roll_in")
    moved = transform_keypoints(canonical, motion, yaw_deg=yaw, roll_deg=roll)
    close(moved, group["mapping_00229_kp_yaw_in_roll_in"], absolute=1e-4)


def test_rotations() -> None:
    group = golden("mapping_kp")
    close(rotation_matrix(*array(group, "angles_deg_ypr").T), group["rotation_matrices"])


@pytest.mark.parametrize(("size", "salt"), [(256, ""), (512, "512:")])
def test_key_points(size: int, salt: str) -> None:
    detector = network("kp_extractor", salt)
    found = detector(picture(golden(f"render{size}")))[0]
    close(found, golden("mapping_kp")[f"kp{size}_canonical"], absolute=1e-4)


def test_frames_of_256_px() -> None:
    group, generator = golden("render256"), face_render()
    features = generator.encode(picture(group))
    warp = generator.warp(features, array(group, "kp_driving")[:2], array(group, "kp_source"))
    close(warp.deformation[0, ::2, ::2, ::2], group["deformation_sample"], absolute=5e-3)
    close(warp.occlusion[0, 0], group["occlusion_map"])
    frames = generator.draw(features, warp)
    close_frame(frames[0], group["prediction0"])
    close(frames[1], group["predictions12_f16"][0], absolute=5e-3)


def test_frames_of_512_px() -> None:
    group, generator = golden("render512"), face_render("512:")
    features = generator.encode(picture(group))
    frame = generator(features, array(group, "kp_driving")[:1], array(group, "kp_source"))[0]
    close_frame(
        frame.unflatten(1, (64, 8)).unflatten(3, (64, 8)).mean((2, 4)), group["prediction_down8_mean"]
    )
    close_frame(frame[:, ::8, ::8], group["prediction_stride8"])
    close_frame(frame[:, 200:264, 200:264], group["prediction_crop_200_264"])
    close_frame(frame[:, :32, :32], group["prediction_crop_tl32"])
    close_frame(frame[:, -32:, -32:], group["prediction_crop_br32"])


def test_reading_shapes_gives_the_official_sizes() -> None:
    for component, kind in NETWORKS.items():
        weights = state(component)
        kept = {n: tuple(t.shape) for n, t in weights.items() if not n.startswith(PoseVAE.TRAINING_ONLY)}
        made = kind.shaped_like(weights)
        assert {n: tuple(t.shape) for n, t in made.state_dict().items()} == kept, component
