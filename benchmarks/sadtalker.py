"""Speed, error and memory of the engine sadtalker: every way to draw a frame against the plain one.

    python benchmarks/sadtalker.py [--models-dir DIR] [--size 512] [--device cuda] [--compile] [--memory]

`plain` is our own network with every optimisation off: float32, one frame at a time, modules as the
checkpoint has them, and the portrait encoded anew for each frame. On a CPU times are seconds of processor
time, with one thread unless --threads says otherwise; on a GPU they are seconds on the clock. All in one
run, turn about, and the least of all turns counts. Without --models-dir the weights are random ones of the
official sizes: times do not depend on them, errors do. --memory runs the whole engine, with the face render
replaced by a cheap stand-in after its first frame, on 10 s and on 10 min of noise; it needs --models-dir.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sadtalker_ext.engines.sadtalker.loading import BATCH_ON_GPU, TURBO_STEP, TURBO_STEP_FLOAT32, has_bfloat16
from sadtalker_ext.engines.sadtalker.networks.face_render import Generator, Warp
from sadtalker_ext.engines.sadtalker.networks.face_render.compiled import compile_parts
from sadtalker_ext.engines.sadtalker.networks.face_render.fast import faster, reduced
from sadtalker_ext.engines.sadtalker.render.between import KeyFrame, frame_between, key_frames
from sadtalker_ext.engines.sadtalker.render.copying import in_main_memory
from sadtalker_ext.engines.sadtalker.render.renderer import sized
from sadtalker_ext.engines.sadtalker.weights import Sources, loaded

DEMO = Path(__file__).resolve().parents[1] / "sadtalker_ext" / "assets" / "demo"
POINTS = 15
FPS = 25
SHORT_S, LONG_S = 10, 600
RATE = 16000  # Hz
PICTURE = 256  # px, of the picture in the memory run
STREAMED = 12  # batches of the renderer's loop

Way = Callable[[], torch.Tensor]


def random_generator() -> Generator:
    """Official sizes, weights that keep the size of what passes through them."""
    torch.manual_seed(0)
    made = Generator()
    with torch.no_grad():
        for name, tensor in made.state_dict().items():
            if name.endswith(("weight_orig", "weight")) and tensor.ndim > 1:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
        for module in made.modules():
            if hasattr(module, "weight_orig"):
                flat = module.weight_orig.flatten(1)
                left, size, right = torch.svd_lowrank(flat, 1)
                module.weight_u.copy_(left[:, 0])
                module.weight_v.copy_(right[:, 0])
                module.weight_orig /= size[0] / 4
    return made.eval().requires_grad_(False)


class Scene:
    """A portrait of noise, smoothed, and key points that move along bent paths."""

    def __init__(self, size: int, device: torch.device, frames: int) -> None:
        noise = torch.Generator().manual_seed(1)
        coarse = torch.rand(1, 3, 32, 32, generator=noise)
        picture = nn.functional.interpolate(coarse, (size, size), mode="bicubic", antialias=True)
        self.picture = picture.clamp(0, 1).to(device)
        self.source = (torch.rand(1, POINTS, 3, generator=noise) * 1.2 - 0.6).to(device)
        time_s = torch.arange(frames)[:, None, None] / FPS
        rate = 0.5 + 2 * torch.rand(1, POINTS, 3, generator=noise)
        phase = 6.28 * torch.rand(1, POINTS, 3, generator=noise)
        path = 0.02 * torch.sin(6.28 * rate * time_s + phase)
        self.driving = self.source + path.to(device)


class Bench:
    def __init__(self, generator: Generator, scene: Scene, device: torch.device, frames: int) -> None:
        self.plain_generator = generator.to(device)
        self.scene, self.device, self.frames = scene, device, frames
        self.kept = faster(generator).to(device)

    def plain(self) -> torch.Tensor:
        generator, scene = self.plain_generator, self.scene
        features = generator.encode(scene.picture)
        return generator(features, scene.driving[:1], scene.source)

    def drawn(self, generator: Generator, batch: int = 1) -> Way:
        features = self.kept.encode(self.scene.picture)
        driving = self.scene.driving[:1].expand(batch, -1, -1)
        return lambda: generator(features, driving, self.scene.source).float()

    def reduced(self, kind: torch.dtype) -> Generator:
        return reduced(faster(self.plain_generator), kind)

    def streamed(self, generator: Generator, batch: int, batches: int = STREAMED) -> Way:
        """The renderer's loop: batch after batch as bytes in main memory, copied while the next is drawn."""
        features, scene = self.kept.encode(self.scene.picture), self.scene
        driving = scene.driving[:1].expand(batch, -1, -1)
        first: list[torch.Tensor] = []

        def drawn() -> Iterator[torch.Tensor]:
            for _ in range(batches):
                frames = generator(features, driving, scene.source).float()
                first[:] = first or [frames]
                yield sized(frames, *frames.shape[:1:-1])

        def stream() -> torch.Tensor:
            first.clear()
            frames = sum(len(content) for content in in_main_memory(drawn()))
            assert frames == batch * batches
            return first[0]

        return stream

    def compiled(self, kind: torch.dtype) -> Generator:
        made = self.reduced(kind)
        compile_parts(made, lambda sentence: print(f"  {sentence}"))
        return made

    def seconds(self, way: Way) -> float:
        """Of one call: on the clock on a GPU, of the processor on a CPU."""
        if self.device.type == "cpu":
            start = time.process_time()
            way()
            return time.process_time() - start
        torch.cuda.synchronize()
        start = time.perf_counter()
        way()
        torch.cuda.synchronize()
        return time.perf_counter() - start


def compare(bench: Bench, ways: dict[str, tuple[Way, int]], turns: int) -> dict[str, float]:
    """Seconds a frame of every way, printed beside their ratio to plain and their error against it."""
    want = bench.plain()
    errors = {}
    for name, (way, _) in ways.items():
        start = time.perf_counter()
        error = (way()[:1] - want).abs()  # the first call also compiles and allocates
        errors[name] = (float(error.mean()), float(error.max()))
        print(f"  ({name}: first call {time.perf_counter() - start:.1f} s on the clock)", flush=True)
    least = dict.fromkeys(("plain", *ways), float("inf"))
    wall = dict(least)
    for _ in range(turns):
        for name, (way, frames) in {"plain": (bench.plain, 1), **ways}.items():
            start = time.perf_counter()
            least[name] = min(least[name], bench.seconds(way) / frames)
            wall[name] = min(wall[name], (time.perf_counter() - start) / frames)
    unit = "processor" if bench.device.type == "cpu" else "clock"
    for name, seconds in least.items():
        mean, most = errors.get(name, (0.0, 0.0))
        print(
            f"{name:28s} {seconds:7.3f} s a frame ({unit}; {wall[name]:.3f} on the clock, "
            f"{1 / wall[name]:.2f} frames/s)  {least['plain'] / seconds:5.2f} × plain  "
            f"error mean {mean:.1e} max {most:.1e}",
            flush=True,
        )
    return least


def turbo(bench: Bench, generator: Generator, step: float, plain_s: float, exact: bool) -> None:
    """A stretch of frames, of which one in `step` is drawn."""
    scene, path = bench.scene, bench.scene.driving
    features = bench.kept.encode(scene.picture)
    chosen = key_frames(path.cpu().numpy(), step, known=True)

    def key(number: int) -> KeyFrame:
        warp = generator.warp(features, path[number : number + 1], scene.source)
        return KeyFrame(generator.draw(features, warp).float(), warp)

    before = key(0)  # of the stretch before
    means: list[float] = []
    spent = worst = 0.0
    for first, end in pairwise(chosen):
        made: list[tuple[int, torch.Tensor]] = []

        def leg(
            first: int = first, end: int = end, made: list[tuple[int, torch.Tensor]] = made
        ) -> torch.Tensor:
            nonlocal before
            after = key(end)
            for number in range(first + 1, end):
                share = (number - first) / (end - first)
                passed = path[number : number + 1]
                made.append((number, frame_between(before, after, share, passed, scene.source)))
            before = after
            return after.image

        spent += bench.seconds(leg)
        for number, frame in made if exact else ():
            error = (frame - bench.kept(features, path[number : number + 1], scene.source)).abs()
            means.append(float(error.mean()))
            worst = max(worst, float(error.max()))
    count = len(path) - 1
    seconds = spent / count
    error = f"those between: error mean {np.mean(means):.1e} max {worst:.1e}" if means else ""
    name = f"turbo, {generator.fourth.weight.dtype}, 1 of {step:g}".replace("torch.", "")
    print(
        f"{name:28s} {seconds:7.3f} s a frame over {count} frames, {len(chosen) - 1} drawn  "
        f"{plain_s / seconds:5.2f} × plain  {error}",
        flush=True,
    )


def peak_mb() -> float:
    """Of this process and those it waited for, since they began."""
    own, others = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return max(own, others) / (1e6 if sys.platform == "darwin" else 1e3)


def whole_engine(seconds: float, models: Path, size: int) -> None:
    """One child's work: the engine over so much noise, the face render replaced; prints the peak."""
    from PIL import Image

    from sadtalker_ext import Options, animate
    from sadtalker_ext.checkpoints import tensors

    os.environ["SADTALKER_MODELS"] = str(models)
    reads: dict[str, int] = {}
    read = tensors.read_tensors

    def counted(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
        reads[f"{path.name}:{prefix}"] = reads.get(f"{path.name}:{prefix}", 0) + 1
        return read(path, prefix)

    import sadtalker_ext.engines.sadtalker.weights as places

    places.read_tensors = counted
    real_warp, real_draw = Generator.warp, Generator.draw
    calls = [0]

    def warp(self: Generator, features: object, driving: torch.Tensor, source: torch.Tensor) -> Warp:
        calls[0] += 1
        if calls[0] == 1:  # one real frame: its memory is part of the peak
            return real_warp(self, features, driving, source)  # type: ignore[arg-type]
        return Warp(*(driving.mean() + torch.zeros(len(driving), 1) for _ in range(3)))

    def draw(self: Generator, features: object, warp: Warp) -> torch.Tensor:
        if warp.deformation.ndim > 2:
            return real_draw(self, features, warp)  # type: ignore[arg-type]
        return torch.rand(len(warp.occlusion), 3, 8, 8).repeat(1, 1, size // 8, size // 8)

    Generator.warp, Generator.draw = warp, draw  # type: ignore[method-assign]
    sound = np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32) * 0.1
    with Image.open(DEMO / "portrait.png") as image:
        picture = np.asarray(image.convert("RGB").resize((PICTURE, PICTURE)))
    eye, mouth = PICTURE * 0.42, PICTURE * 0.66
    low, high = PICTURE * 0.4, PICTURE * 0.6
    points = ((low, eye), (high, eye), (PICTURE / 2, PICTURE * 0.55), (low, mouth), (high, mouth))
    options = Options(engine="sadtalker", points=points, size=str(size), preset="ultrafast", overwrite=True)
    with tempfile.TemporaryDirectory() as folder:
        for run in ("first", "second")[: 1 if seconds > SHORT_S else 2]:
            start, before = time.perf_counter(), sum(reads.values())
            result = animate(picture, (sound, RATE), Path(folder) / "out.mp4", options)
            print(
                f"  {seconds:g} s of sound, {run} run: {result.frames} frames in "
                f"{time.perf_counter() - start:.1f} s, "
                f"{sum(reads.values()) - before} networks read, peak so far {peak_mb():.0f} MB",
                flush=True,
            )
    assert all(count == 1 for count in reads.values()), reads
    print(f"peak {peak_mb():.1f}")


def memory(models: Path, size: int, long_s: float) -> None:
    peaks = []
    for seconds in (SHORT_S, long_s):
        command = [
            sys.executable,
            __file__,
            "--child",
            str(seconds),
            "--models-dir",
            str(models),
            "--size",
            str(size),
        ]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        *lines, last = printed.strip().splitlines()
        print("\n".join(lines), flush=True)
        peaks.append(float(last.split()[1]))
    print(
        f"peak memory: {peaks[0]:.0f} MB for {SHORT_S} s, {peaks[1]:.0f} MB for {long_s:g} s of sound: "
        f"{peaks[1] / peaks[0]:.3f} times (one real frame, the others by a cheap stand-in)"
    )


Ways = dict[str, tuple[Way, int]]  # by name, with the frames that one call draws


def ways_on_gpu(bench: Bench, compiled: bool) -> tuple[Ways, Generator]:
    """And the generator in half precision."""
    half = bench.reduced(torch.float16)
    ways: Ways = {"exact": (bench.drawn(bench.kept), 1)}
    for batch in (1, BATCH_ON_GPU, 2 * BATCH_ON_GPU):
        ways[f"float16, batch {batch}"] = (bench.drawn(half, batch), batch)
    networks = {"float16": half, **({"float16, compiled": bench.compiled(torch.float16)} if compiled else {})}
    for name, network in networks.items():
        frames = BATCH_ON_GPU * STREAMED
        ways[f"{name}, bytes in memory"] = (bench.streamed(network, BATCH_ON_GPU), frames)
    return ways, half


def ways_on_cpu(bench: Bench, compiled: bool) -> tuple[Ways, Generator | None]:
    """And the generator in half precision, where this processor has it."""
    half = bench.reduced(torch.bfloat16) if has_bfloat16() else None
    ways: Ways = {"exact": (bench.drawn(bench.kept), 1)}
    if half is not None:
        ways["bfloat16"] = (bench.drawn(half), 1)
    if compiled:
        ways["exact, compiled"] = (bench.drawn(bench.compiled(torch.float32)), 1)
        if half is not None:
            ways["bfloat16, compiled"] = (bench.drawn(bench.compiled(torch.bfloat16)), 1)
    return ways, half


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models-dir", type=Path, default=None)
    parser.add_argument("--size", type=int, default=256, choices=(256, 512))
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda"
    )
    parser.add_argument("--threads", type=int, default=1, help="on a CPU")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--turbo-frames", type=int, default=10, help="length of the stretch; 0 leaves it out")
    parser.add_argument("--compile", action="store_true", help="also the compiled ways, which takes minutes")
    parser.add_argument("--memory", action="store_true", help="the whole engine's memory instead")
    parser.add_argument("--long", type=float, default=LONG_S, help="seconds of sound in the long memory run")
    parser.add_argument("--child", type=float, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.child is not None:
        whole_engine(given.child, given.models_dir, given.size)
        return
    device = torch.device(given.device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{given.threads} thread(s)"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, load {load:.1f}; {device.type}: {where}; "
        f"torch {torch.__version__}; {given.size} px"
    )
    if given.memory:
        if given.models_dir is None:
            parser.error("--memory runs the whole engine; give --models-dir")
        memory(given.models_dir, given.size, given.long)
        return
    if given.models_dir is None:
        generator = random_generator()
    else:
        sources = Sources.find(given.models_dir, given.size)
        generator = loaded(Generator.shaped_like, sources.state("generator"))
    scene = Scene(given.size, device, given.turbo_frames + 1)
    bench = Bench(generator, scene, device, given.turbo_frames)
    on_gpu = device.type == "cuda"
    ways, half = (ways_on_gpu if on_gpu else ways_on_cpu)(bench, given.compile)
    least = compare(bench, ways, given.turns)
    if given.turbo_frames:
        if half is not None:
            turbo(bench, half, TURBO_STEP, least["plain"], exact=True)
        if not on_gpu:
            turbo(bench, bench.kept, TURBO_STEP_FLOAT32, least["plain"], exact=half is None)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        ways["float16, bytes in memory"][0]()
        print(f"GPU memory at a batch of {BATCH_ON_GPU}: {torch.cuda.max_memory_allocated() / 1e6:.0f} MB")
    print(f"peak memory of this process: {peak_mb():.0f} MB")


if __name__ == "__main__":
    main()
