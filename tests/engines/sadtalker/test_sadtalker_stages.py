"""What surrounds SadTalker's networks gives what the reference gave: crops, mels, poses, whole runs."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from sadtalker_oracle import close, face_render, golden, needs_oracle, network

from sadtalker_ext.engines.sadtalker import coefficients, mel
from sadtalker_ext.engines.sadtalker.crop import MODES, Box, Mode, face_crop
from sadtalker_ext.engines.sadtalker.face3d import align_to_model, aligned_picture, five_points
from sadtalker_ext.engines.sadtalker.networks.face_render import Generator
from sadtalker_ext.engines.sadtalker.networks.keypoints import transform_keypoints
from sadtalker_ext.engines.sadtalker.networks.posevae import PoseVAE
from sadtalker_ext.engines.sadtalker.render import windows
from sadtalker_ext.engines.sadtalker.render.renderer import sized
from sadtalker_ext.engines.sadtalker.render.source import MODEL_POINTS, reconstruct
from sadtalker_ext.engines.sadtalker.speech_driven import face_coefficients

pytestmark = needs_oracle


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


def table() -> list[dict[str, float]]:
    group = golden("crop")
    names = [str(name) for name in group["columns"]]
    return [dict(zip(names, row, strict=True)) for row in group["table"]]


def crops() -> list[tuple[dict[str, float], Any]]:
    rows = table()
    return [
        (row, face_crop(points, int(row["img_w"]), int(row["img_h"])))
        for row, points in zip(rows, golden("crop")["landmarks"], strict=True)
    ]


def test_outer_crops() -> None:
    for row, crop in crops():
        assert crop.picture == (row["resized_w"], row["resized_h"])
        assert crop.outer == tuple(int(row[f"crop_{side}"]) for side in "ltrb")


def test_inner_crops_are_what_the_reference_really_cut() -> None:
    """But where it clamps the bottom with the picture's width: there it loses the chin, and ours does not."""
    lost = 0
    for row, crop in crops():
        inside = crop.inner.moved(-crop.outer.left, -crop.outer.top)
        assert (inside.left, inside.top) == (int(row["quad_l"]), int(row["quad_t"]))
        assert inside.width == row["tight_w"]
        if row["quad_b"] == row["resized_w"] < inside.bottom:
            lost += 1
            assert inside.height > row["tight_h"]
            assert inside.bottom <= crop.outer.height
        else:
            assert inside.height == row["tight_h"]
    assert lost == 7


@pytest.mark.parametrize("mode", MODES)
def test_preparing_a_picture(mode: Mode) -> None:
    group, recon = golden("preprocess"), network("face_3drecon")
    picture, landmarks = group["image_rgb_u8"], group["landmarks_full"]
    box = face_crop(landmarks, 400, 480).box(mode)
    if mode != "resize":
        assert box == _declared(group, mode)
    square = cv2.resize(picture[box.top : box.bottom, box.left : box.right], (256, 256))
    assert np.abs(square.astype(int) - group[f"{mode}_png_rgb_u8"]).max() <= 1  # OpenCV versions round apart
    inside = (landmarks - (box.left, box.top)) * (256 / box.width, 256 / box.height)
    # The reference looked for the landmarks anew in the square; ours are those of the picture.
    assert np.abs(inside - group[f"{mode}_landmarks_in_cropped"]).max() < 0.02 * 256
    found = reconstruct(group[f"{mode}_png_rgb_u8"], group[f"{mode}_landmarks_in_cropped"], recon)
    close(found, group[f"{mode}_coeff73"][0], relative=1e-4)


def _declared(group: Any, mode: str) -> Box:
    left, top, right, bottom = (int(edge) for edge in group[f"{mode}_crop_ltrb"])
    if mode.startswith("ext"):
        return Box(left, top, right, bottom)
    return Box(*(int(edge) for edge in group[f"{mode}_quad_ltrb"])).moved(left, top)


def test_alignment() -> None:
    group = golden("align")
    close(MODEL_POINTS, group["lm3d_5x3"])
    for number, landmarks in enumerate(group["landmarks_y_up"]):
        points = five_points(landmarks)
        close(points, group["five_points"][number])
        alignment = align_to_model(points, MODEL_POINTS, 256, 256)
        close(np.array(alignment), group["trans_params"][number], relative=1e-6)
        if f"aligned_u8_{number}" in group.files:
            assert np.array_equal(
                aligned_picture(group["image_u8"], alignment), group[f"aligned_u8_{number}"]
            )


def test_alignment_of_a_picture_without_landmarks() -> None:
    group = golden("align")
    alignment = align_to_model(group["fallback_points"], MODEL_POINTS, 256, 256)
    close(np.array(alignment), group["fallback_trans_params"], relative=1e-6)
    assert np.array_equal(aligned_picture(group["image_u8"], alignment), group["fallback_aligned_u8"])


@pytest.mark.parametrize("clip", ["espeak", "bus"])
def test_mel_windows(clip: str) -> None:
    group = golden("audio")
    samples = group[f"{clip}_16k_i16"].astype(np.float32) / 32768
    frames = len(samples) // mel.SAMPLES_PER_FRAME
    assert frames == group[f"{clip}_num_frames"]
    rows = mel.mel_spectrogram(samples[: frames * mel.SAMPLES_PER_FRAME])
    close(rows, group[f"{clip}_mel"], absolute=1e-4)
    starts = group[f"{clip}_chunk_start_end_unclamped"]
    assert np.array_equal(mel.window_starts(frames), starts[:, 0])
    assert np.array_equal(mel.window_starts(frames) + mel.STEPS, starts[:, 1])
    chunks = mel.mel_windows(group[f"{clip}_mel"], 0, frames)[group[f"{clip}_chunk_frames"]]
    assert np.array_equal(chunks, group[f"{clip}_chunks"])


def test_mel_basis() -> None:
    close(mel.mel_basis()[[0, 1, 20, 40, 79]], golden("audio")["mel_basis_rows"], relative=1e-7)


def test_frame_counts() -> None:
    group = golden("audio")
    assert [int(n) // mel.SAMPLES_PER_FRAME for n in group["len_in"]] == list(group["len_frames"])
    assert [int(n) // mel.SAMPLES_PER_FRAME * mel.SAMPLES_PER_FRAME for n in group["len_in"]] == list(
        group["len_used"]
    )


def test_blinks_follow_the_rule_of_the_reference() -> None:
    """Its draws come from another generator; the shape of a blink and the gaps between them are the same."""
    group = golden("audio")
    for name in group.files:
        if not name.startswith("blink_n"):
            continue
        theirs = group[name]
        count = len(theirs)
        ours = coefficients.blink_schedule(count, np.random.default_rng(int(name.rpartition("_s")[2])))
        for shut in (theirs, ours):
            starts = np.flatnonzero((shut[1:] > 0) & (shut[:-1] == 0)) + 1
            for start in starts:
                assert shut[start : start + 5] == pytest.approx(coefficients.BLINK)
            gaps = np.diff([0, *starts]) - np.array([0, *[5] * (len(starts) - 1)])[: len(starts)]
            assert all(10 <= gap < 70 for gap in gaps)
            assert not shut[-1:].any()


@pytest.mark.parametrize("case", ["T75_style0", "T75_style45", "T20_style3", "T33_style10", "T65_style10"])
def test_pose_smoothing(case: str) -> None:
    group = golden("audio2pose")
    close(coefficients.smooth_pose(group[f"{case}_pose_raw"]), group[f"{case}_pose_smooth"], relative=1e-6)


@pytest.mark.parametrize("frames", [3, 4, 7, 12, 13, 75])
def test_coefficients_of_speech(frames: int) -> None:
    audio, heard, group = golden("audio"), golden("audio2exp"), golden("audio2pose")
    samples = audio["espeak_16k_i16"].astype(np.float32)[: 75 * mel.SAMPLES_PER_FRAME] / 32768
    short = frames < 75
    got = face_coefficients(
        mel.mel_spectrogram(samples),
        frames,
        heard["ref70"][0],
        shut=heard["ratio"][:frames],
        noise=group["short_z" if short else "T75_style0_z"],
        style=2 if short else 0,
        expnet=network("audio2exp"),
        posevae=network("audio2pose"),
    )
    close(got, group[f"short_T{frames}_coeff70" if short else "full_coeff70"], absolute=2e-4)


def test_a_followed_head_is_added_to_the_pose() -> None:
    group, followed = golden("audio2pose"), golden("audio")["refblink_coeff"][:, 64:70]
    plain, moved = group["full_coeff70"], group["full_coeff70_refpose"]
    count = len(followed)  # afterwards ours plays backwards, where the reference jumps to the start
    ours = plain[:count, 64:] + coefficients.looped(followed, 75)[:count] - followed[:1]
    close(ours, moved[:count, 64:], absolute=1e-5)


def target(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Windows in the reference's order: batches of contiguous parts, the last window repeated."""
    made = windows.windows(rows, 0, len(rows))
    count = shape[0] * shape[1]
    made = np.concatenate([made, np.repeat(made[-1:], count - len(made), axis=0)])
    return made.reshape(shape)


@pytest.mark.parametrize(
    "case",
    ["crop_bs2", "crop_still_bs2", "full_bs1_scale1p3", "full_still_bs3", "extfull_bs4", "resize_bs2"],
)
def test_windows_of_coefficients(case: str) -> None:
    group = golden("facerender_data")
    source, rows = group["first73"][0], group["generated70"].copy()
    rows[:, :64] *= np.float32(1.3 if "scale" in case else 1)
    if "full" in case:
        rows = np.concatenate([rows, np.repeat(source[None, 70:], len(rows), axis=0)], axis=1)
    if "still" in case:
        rows[:, 64:] = source[64 : rows.shape[1]]
    close(target(rows, group[f"{case}_target"].shape), group[f"{case}_target"], relative=1e-7)
    at_rest = windows.steady_window(source[: rows.shape[1]])
    close(at_rest, group[f"{case}_source_semantics"], relative=1e-7)


@pytest.mark.parametrize("case", range(7))
def test_head_turns(case: int) -> None:
    group = golden("facerender_data")
    frames, _ = group[f"campose_{case}_frames_bs"]
    want = group[f"campose_{case}_out"].reshape(-1)[:frames]
    close(coefficients.turns(list(group[f"campose_{case}_list"]), int(frames)), want, relative=1e-6)


def test_head_turns_of_a_run() -> None:
    group = golden("facerender_data")
    for axis, angles in (("yaw", [-20, 30, 10]), ("pitch", [5]), ("roll", [0, -8])):
        close(coefficients.turns(angles, 7), group[f"pose_bs2_{axis}"].reshape(-1)[:7], relative=1e-6)


def test_whole_pictures_are_pasted_where_the_reference_pastes_them() -> None:
    """Boxes as its slices are; where it declares others (a face at the crop's edge), ours is what was cut."""
    group = golden("paste")
    names = [str(name) for name in group["geometry_columns"]]
    compared = 0
    for values, (row, crop) in zip(group["geometry_table"], crops(), strict=True):
        place = dict(zip(names, (int(value) for value in values), strict=True))
        assert crop.outer == tuple(place[f"ext_{side}"] for side in "ltrb")
        declared = Box(*(place[f"tight_{side}"] for side in "ltrb"))
        if (declared.width, declared.height) == (row["tight_w"], row["tight_h"]) and (
            row["quad_b"] < row["resized_w"]
        ):
            assert crop.inner == declared
            compared += 1
    assert compared >= 18


@pytest.fixture(scope="module")
def generator() -> Generator:
    return face_render()


@pytest.mark.parametrize("mode", ["crop", "full"])
def test_a_whole_run(mode: str, generator: Generator) -> None:
    """From the sound's samples and the cropped picture to a frame."""
    run, prepared = golden("e2e"), golden("preprocess")
    samples = run["wav_i16"].astype(np.float32) / 32768
    frames = len(samples) // mel.SAMPLES_PER_FRAME
    assert frames == run[f"{mode}_frame_num"]
    source = prepared[f"{mode}_coeff73"][0]
    rows = face_coefficients(
        mel.mel_spectrogram(samples[: frames * mel.SAMPLES_PER_FRAME]),
        frames,
        source,
        shut=run[f"{mode}_ratio"],
        noise=run[f"{mode}_z"],
        style=7,
        expnet=network("audio2exp"),
        posevae=network("audio2pose"),
    )
    assert len(run[f"{mode}_z"]) == PoseVAE.blocks(frames)
    close(rows, run[f"{mode}_coeff70"], absolute=1e-4)
    if mode == "full":
        rows = np.concatenate([rows, np.repeat(source[None, 70:], frames, axis=0)], axis=1)
        rows[:, 64:] = source[64:]  # still
    order = run[f"{mode}_frame_indices"]
    driven = windows.windows(rows, 0, frames)
    want = run[f"{mode}_target_semantics_rendered"]
    close(driven[order], want.reshape(-1, *want.shape[2:]), absolute=1e-4)

    mapping = network("mapping_00109" if mode == "full" else "mapping_00229")
    picture = torch.from_numpy(prepared[f"{mode}_png_rgb_u8"]).permute(2, 0, 1)[None].float() / 255
    canonical = network("kp_extractor")(picture)
    at_rest = torch.from_numpy(windows.steady_window(source[: mapping.coefficients]))[None]
    resting = transform_keypoints(canonical, mapping(at_rest))
    features = generator.encode(picture)
    for place in (0, len(order) - 1) if mode == "crop" else (0,):
        number = order[place]
        moving = transform_keypoints(canonical, mapping(torch.from_numpy(driven[number][None])))
        frame = generator(features, moving, resting)[0].permute(1, 2, 0)
        pixels = (frame * 255).round().clamp(0, 255).numpy()
        want = run[f"{mode}_frame_first_u8"] if number == 0 else run[f"{mode}_frames_u8_down"][place]
        step = len(pixels) // len(want)
        apart = np.abs(pixels[::step, ::step] - want.astype(np.float32))
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.02  # values that lay on the edge between two whole numbers


def test_frames_become_pixels_of_the_crops_shape() -> None:
    group = golden("frame_post")
    frames = torch.from_numpy(group["pred_float"])
    close(sized(frames, 64, 64), group["out_u8_samesize"])  # rounded half to even
    width, height = group["crop_info_wh"]
    shown = sized(frames[:1], 256, int(256 * height / width))[0].numpy()
    want = group["out_u8_first"]
    assert shown.shape == want.shape
    assert np.abs(shown.astype(int) - want).max() <= 1  # OpenCV interpolates in whole numbers
