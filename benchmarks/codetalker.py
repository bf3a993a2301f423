"""Speed, error and memory of CodeTalker's inference: the exact and the fast mode against the plain loop.

    python benchmarks/codetalker.py [--face biwi] [--models-dir DIR] [--seconds 10] [--threads 1] [--tiny]

`plain` is the published loop as it is written: every step takes the whole prefix through stage 2, the
codebook and stage 1. `exact` must give its bits, and the share of codes and the error of vertices tell how
`fast` differs; `fast-published-pace` is the fast mode without its correction of how sound is laid on
frames, so that its frames are those of the plain loop. Each way runs in a process of its own, and times are
seconds of processor time with one thread unless --threads says otherwise. Without --models-dir the weights
are random ones of the official sizes: times do not depend on them, errors do. The sound is the project's
own demo, repeated. --tiny is a quick look at small networks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sadtalker_ext.audio import load_speech
from sadtalker_ext.engines.codetalker import query_fast as code_query_fast
from sadtalker_ext.engines.codetalker.networks import (
    BIWI,
    BIWI_QUERY,
    BIWI_SIZES,
    VOCASET,
    VOCASET_QUERY,
    VOCASET_SIZES,
    CodeQuery,
    VQAutoEncoder,
)
from sadtalker_ext.engines.codetalker.networks.wav2vec import PUBLISHED_SIZES, SAMPLE_RATE, normalised
from sadtalker_ext.engines.codetalker.query import predict
from sadtalker_ext.engines.codetalker.weights import load_pair

DEMO = Path(__file__).resolve().parents[1] / "sadtalker_ext" / "assets" / "demo" / "speech.wav"
LENGTHS_S = (5, 10, 20, 40)
SHOWN = 97  # every so many columns are compared: a mesh's vertices would fill the disk


def random_stages(face: str, tiny: bool) -> tuple[VQAutoEncoder, CodeQuery]:
    """Both networks with weights that keep the size of what passes through them."""
    torch.manual_seed(0)
    sizes, query, rhythm = (
        (VOCASET_SIZES, VOCASET_QUERY, VOCASET) if face == "vocaset" else (BIWI_SIZES, BIWI_QUERY, BIWI)
    )
    if tiny:
        narrow: dict[str, object] = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
        narrow |= {"intermediate_size": 32, "conv_dim": (16,) * 7}
        narrow |= {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 16}
        sizes = replace(sizes, vertices=20, width=32, hidden=48, layers=2, slots=4, code=8, entries=16)
        query = replace(query, vertices=20, features=32, width=32, hidden=64, layers=2)
        query = replace(query, speech={**PUBLISHED_SIZES, **narrow})
    stage1, stage2 = VQAutoEncoder(sizes), CodeQuery(query, rhythm)
    for network in (stage1, stage2):
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and not name.endswith(("weight_g", "weight_v")):
                torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    torch.nn.init.normal_(stage1.quantize.embedding.weight)
    torch.nn.init.normal_(stage2.learnable_style_emb.weight)
    return stage1.eval().requires_grad_(False), stage2.eval().requires_grad_(False)


@torch.no_grad()
def plain_loop(stage1: VQAutoEncoder, stage2: CodeQuery, samples: np.ndarray) -> Iterator[np.ndarray]:
    """The published inference as it is written, for style 0."""
    heard = stage2.hear(normalised(torch.from_numpy(samples))[None])
    style = stage2.style(0).view(1, 1, -1)
    embedded = style
    for _ in range(heard.shape[1] // stage2.rhythm.keys):
        features, _ = stage1.quantize.snap(stage2.attend(stage2.placed(embedded), heard))
        offsets = stage1.decode(features)
        embedded = torch.cat([embedded, stage2.vertice_map(offsets[:, -1:]) + style], dim=1)
    yield stage1.decode(features)[0].numpy()


def published_pace(stage1: VQAutoEncoder, stage2: CodeQuery, samples: np.ndarray) -> Iterator[np.ndarray]:
    """The fast mode, with as many frames as the published loop and sound laid on them alike."""
    ways = replace(code_query_fast.USUAL, by_clock=False)
    nothing = lambda *_: None  # noqa: E731
    for hidden in code_query_fast.blocks(stage1, stage2, samples, stage2.style(0), nothing, nothing, ways):
        yield stage1.decoder.vertice_map_reverse(hidden).numpy()


WAYS: dict[str, Callable[[VQAutoEncoder, CodeQuery, np.ndarray], Iterator[np.ndarray]]] = {
    "plain": plain_loop,
    "exact": lambda *given: predict(*given, exact=True),
    "fast-published-pace": published_pace,
    "fast": predict,
}


def sound(seconds: float) -> np.ndarray:
    demo = load_speech(DEMO).samples
    return np.resize(demo, round(seconds * SAMPLE_RATE)).astype(np.float32)


class Codes:
    """Remembers the codes of the last frames asked for, of the last call or of all calls."""

    def __init__(self, stage1: VQAutoEncoder) -> None:
        self.calls: list[np.ndarray] = []
        nearest = stage1.quantize.nearest

        def kept(features: torch.Tensor) -> torch.Tensor:
            codes = nearest(features)
            self.calls.append(codes.reshape(-1, codes.shape[-1])[-1].numpy())
            return codes

        stage1.quantize.nearest = kept  # type: ignore[method-assign]


def child(way: str, seconds: float, given: argparse.Namespace, out: Path) -> None:
    """One way in this process; what it measured goes into `out`."""
    if given.models_dir is None:
        stage1, stage2 = random_stages(given.face, given.tiny)
    else:
        pair = load_pair(given.models_dir, given.face)
        stage1, stage2 = VQAutoEncoder.from_state(pair.stage1), CodeQuery.from_state(pair.stage2)
    codes, samples = Codes(stage1), sound(seconds)
    loaded_mb, start, clock = peak_mb(), time.process_time(), time.perf_counter()
    first, shown = None, []
    with torch.no_grad():
        for block in WAYS[way](stage1, stage2, samples):
            first = first or time.process_time() - start
            shown.append(block[:, ::SHOWN].copy() if not given.tiny else block)
    told = {
        "cpu_s": time.process_time() - start,
        "clock_s": time.perf_counter() - clock,
        "first_s": first,
        "loaded_mb": loaded_mb,
        "peak_mb": peak_mb(),
    }
    offsets = np.concatenate(shown)
    np.savez(out, offsets=offsets, codes=np.array(codes.calls), told=json.dumps(told))


def measured(
    way: str, seconds: float, arguments: list[str]
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.npz"
        command = [sys.executable, __file__, *arguments, "--child", way, str(seconds), str(out)]
        subprocess.run(command, check=True)
        with np.load(out) as kept:
            return json.loads(str(kept["told"])), kept["codes"], kept["offsets"]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def compare(seconds: float, arguments: list[str], ways: list[str]) -> None:
    results = {}
    for way in ways:
        told, codes, offsets = measured(way, seconds, arguments)
        results[way] = told, codes, offsets
        line = f"  {way:22} {told['cpu_s']:8.1f} s of processor, {told['clock_s']:8.1f} s on the clock"
        line += f", memory {told['loaded_mb']:.0f} -> {told['peak_mb']:.0f} MB; {len(offsets)} frames"
        if way != ways[0] and "plain" in results:
            reference = results["plain"]
            line += f"; {reference[0]['cpu_s'] / told['cpu_s']:.1f} times as fast"
            if len(offsets) == len(reference[2]):
                same = (codes[: len(offsets)] == reference[1][: len(offsets)]).mean()
                error = np.abs(offsets - reference[2])
                bits = "the same bits" if np.array_equal(offsets, reference[2]) else "other bits"
                line += f"; codes equal {100 * same:.1f} %, vertices off by {error.mean():.2e} on average, "
                line += f"{error.max():.2e} at most (their spread is {reference[2].std():.2e}); {bits}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--face", default="vocaset", choices=("vocaset", "biwi"))
    parser.add_argument("--models-dir", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="small networks, a short clip")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS), help="to compare")
    parser.add_argument("--lengths", type=float, nargs="*", default=LENGTHS_S, help="seconds, fast mode")
    parser.add_argument("--child", nargs=3, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.child is not None:
        child(given.child[0], float(given.child[1]), given, Path(given.child[2]))
        return
    seconds = min(given.seconds, 2) if given.tiny else given.seconds
    load = float("nan")
    with suppress(OSError, AttributeError):
        load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, {given.threads} thread(s), load {load:.1f}; "
        f"torch {torch.__version__}; {given.face}{', tiny networks' if given.tiny else ''}"
    )
    arguments = ["--face", given.face, "--threads", str(given.threads)]
    arguments += ["--tiny"] if given.tiny else []
    arguments += [] if given.models_dir is None else ["--models-dir", str(given.models_dir)]
    print(f"{seconds:g} s of speech:")
    compare(seconds, arguments, given.ways)
    print("the fast mode at other lengths:")
    for length in given.lengths:
        told, _, offsets = measured("fast", length, arguments)
        print(
            f"  {length:g} s: {told['cpu_s']:.1f} s of processor, {told['cpu_s'] / length:.2f} a second of "
            f"speech, first frames after {told['first_s']:.1f} s; {len(offsets)} frames; memory "
            f"{told['loaded_mb']:.0f} -> {told['peak_mb']:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
