"""Whether any frame of a real track folds a picture, and how far it is stretched; worst for open mouths.

    python benchmarks/open_mouths.py [PICTURE …] [--speech SOUND] [--sheet SHEET.png]

For every picture: how far its mouth is open (face widths, fw) and what share of that can be shut; the
smallest and largest area that a cell of the warp's grid is pressed or stretched to, over all frames of the
speech and both lips, each on its own side of the mouth (1: as in the picture; at 0 and below it is folded
and torn lips are seen); the same for shutting the mouth alone; in how many frames movements had to be made
smaller so that nothing folds. Without pictures: the demo portrait as it is, and with its mouth opened
further and further by the engine itself. `--sheet` writes frames from shut to wide open side by side, to be
looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sadtalker_ext.audio import load_speech
from sadtalker_ext.cli.demo import DEMO
from sadtalker_ext.engines.instant.warp.basis import MOVE_INDEX, MOVES
from sadtalker_ext.engines.instant.warp.grid import jacobian
from sadtalker_ext.engines.instant.warp.renderer import WarpRenderer
from sadtalker_ext.face import Portrait, load_portrait
from sadtalker_ext.motion import generate_head, generate_lips
from sadtalker_ext.tracks import ARKIT, MotionTrack, lips

FPS = 25.0
OPENED = ((0.4,), (0.8,), (1.2,), (1.5,), (1.5, 1.0))  # jawOpen, once or twice, the lips parted by as much
SHEET_COLUMNS, SHEET_SIDE, SHEET_REACH = 7, 240, 0.55  # frames, px, fw around the mouth


def speech_track(sound: Path) -> MotionTrack:
    speech = load_speech(sound)
    frames = round(speech.duration * FPS)
    head = generate_head(speech, fps=FPS, frames=frames, seed=0)
    return generate_lips(speech, fps=FPS, frames=frames).with_channels(head, ["pose"])


def opened(portrait: Portrait, amount: float) -> Image.Image:
    """The portrait with its mouth drawn open."""
    data = np.zeros((3, ARKIT.dim), np.float32)
    for name in (
        "jawOpen",
        *(f"mouth{part}{side}" for part in ("LowerDown", "UpperUp") for side in ("Left", "Right")),
    ):
        data[:, ARKIT.index(name)] = min(amount, 1.5)
    *_, frame = WarpRenderer(portrait).render(MotionTrack(ARKIT, FPS, data))
    return Image.fromarray(np.ascontiguousarray(frame[..., :3]))


def areas(renderer: WarpRenderer, moves: np.ndarray) -> tuple[float, float]:
    """Smallest and largest area of a cell over all rows of `moves`, each lip's layer on its own side."""
    basis, grid = renderer.basis, renderer.face_grid
    below = renderer.lips.lip_line(*grid.nodes())
    least, most = 1.0, 1.0
    for row in moves:
        for layer, seen in ((basis.upper, below < 0), (basis.lower, below > 0)):
            area = jacobian(*basis.combine(layer, row), grid.step)[seen]
            least, most = min(least, float(area.min())), max(most, float(area.max()))
    return least, most


def strip(portrait: Portrait, renderer: WarpRenderer, track: MotionTrack) -> np.ndarray:
    """The picture's mouth and frames of it, from the most shut to the widest open."""
    order = np.argsort(lips.opening(track), kind="stable")
    chosen = sorted({int(i) for i in order[np.linspace(0, len(order) - 1, SHEET_COLUMNS).astype(int)]})
    last = replace(track, data=track.data[: max(chosen) + 1])
    frames = [portrait.image, *(f for i, f in enumerate(renderer.render(last)) if i in chosen)]
    middle = portrait.face.landmarks[[13, 14], :2].mean(0)
    reach = SHEET_REACH * renderer.frame.width
    box = tuple(round(float(v)) for v in (*(middle - reach), *(middle + reach)))
    cells = (Image.fromarray(frame[..., :3]).crop(box).resize((SHEET_SIDE, SHEET_SIDE)) for frame in frames)
    return np.hstack([np.asarray(cell) for cell in cells])


def pictures(paths: list[Path]) -> Iterator[tuple[str, Portrait]]:
    if paths:
        yield from ((path.name, load_portrait(path)) for path in paths)
        return
    yield "demo", load_portrait(DEMO / "portrait.png")
    for steps in OPENED:
        portrait = load_portrait(DEMO / "portrait.png")
        for amount in steps:
            portrait = load_portrait(opened(portrait, amount))
        yield f"opened by {' and '.join(f'{amount:g}' for amount in steps)}", portrait


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path, metavar="PICTURE")
    parser.add_argument("--speech", type=Path, default=DEMO / "speech.wav")
    parser.add_argument("--sheet", type=Path, help="write frames of every picture here")
    given = parser.parse_args()
    track = speech_track(given.speech)
    print(f"{len(track)} frames of {given.speech.name}")
    print(f"{'picture':<32}{'open':>7}{'shut':>7}{'least':>8}{'most':>7}{'alone':>14}{'made smaller':>14}")
    rows = []
    for title, portrait in pictures(given.pictures):
        renderer = WarpRenderer(portrait)
        moves, shares = renderer.movements(track)
        least, most = areas(renderer, moves * shares[:, None])
        seal = np.zeros((1, len(MOVES)), np.float32)
        seal[0, MOVE_INDEX["seal"]] = 1
        alone = areas(renderer, seal)
        print(
            f"{title[-31:]:<32}{renderer.frame.own_gap:>7.3f}{renderer.closes:>7.2f}{least:>8.2f}{most:>7.2f}"
            f"{alone[0]:>8.2f}{alone[1]:>6.2f}{int((shares < 1).sum()):>8} to {float(shares.min()):.2f}"
        )
        rows.append(strip(portrait, renderer, track) if given.sheet else None)
    if given.sheet:
        Image.fromarray(np.vstack(rows)).save(given.sheet)


if __name__ == "__main__":
    main()
