"""Turns features of speech with motion into the trained weights of the code prior (float16 safetensors)."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recipes.code_prior.codebook import employ, train_codec
from recipes.code_prior.manners import MANNERS
from recipes.code_prior.motion_data import FaceBatches, MouthBatches, PlainBatches, crops_of, drawn_faces
from recipes.code_prior.pairs import load_pairs
from recipes.code_prior.speech import Recordings, begun, train_speaker
from sadtalker_ext.motion.code_layout import FACE, MOUTH, ROWS_A_SECOND
from sadtalker_ext.motion.code_lips import FORMAT, CodePrior
from sadtalker_ext.motion.code_prior import Codec
from sadtalker_ext.motion.visemes import load_visemenet

FACE_MINUTES = 120.0  # of drawn expressions
BFM_SLOTS = 8
FACE_SLOTS = 12  # many things may happen in a face at once
WHOLE = ("filterbank", "codebook", "mean", "scale")  # tensors that stay float32


def load_features(folder: Path) -> Recordings:
    """All that `dataset.py` wrote into a folder."""
    files = sorted(folder.glob("train_*.npz"))
    if not files:
        raise SystemExit(f"No train_*.npz in {folder}; run recipes.code_prior.dataset first.")
    parts = [np.load(file) for file in files]
    return Recordings(
        torch.cat([torch.from_numpy(part["x"]) for part in parts]),
        torch.cat([torch.from_numpy(part["y"]) for part in parts]),
    )


def save(prior: CodePrior, path: Path, about: dict[str, object]) -> str:
    """Write the prior as float16 safetensors with what it is about; returns the file's sha256."""
    from safetensors.torch import save_file

    modules = {"motion": prior.motion, "face": prior.face, "speech": prior.speech}
    tensors = {
        f"{part}.{name}": (value if name.endswith(WHOLE) else value.half()).detach().clone().contiguous()
        for part, module in modules.items()
        if module is not None
        for name, value in module.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "space": prior.space,
        "manners": json.dumps(prior.manners),
        "rows_a_second": str(ROWS_A_SECOND),
        "about": json.dumps(about),
    }
    save_file(tensors, str(path), metadata)
    path.chmod(0o644)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--space", choices=("arkit", "bfm"), default="arkit", help="arkit: lips; bfm: SadTalker's expressions"
    )
    parser.add_argument("--features", type=Path, help="arkit: folder of arrays that dataset.py wrote")
    parser.add_argument(
        "--pairs", type=Path, help="bfm: folder of NAME.mat or NAME.npz with NAME.wav; subfolders are manners"
    )
    parser.add_argument("--out", type=Path, required=True, help="weights to write, .safetensors")
    parser.add_argument("--codec", type=Path, default=None, help="weights whose codecs are taken as they are")
    parser.add_argument("--codec-steps", type=int, default=8000)
    parser.add_argument("--codec-minutes", type=float, default=math.inf, help="stop each codec here")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop the speaker here")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given = args.features if args.space == "arkit" else args.pairs
    if given is None:
        parser.error("--features is needed for --space arkit, --pairs for --space bfm")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    prior = train(
        args.space,
        given,
        seed=args.seed,
        codec=args.codec,
        codec_steps=args.codec_steps,
        codec_minutes=args.codec_minutes,
        steps=args.steps,
        minutes=args.minutes,
    )
    about = {"seed": args.seed, "codec_steps": args.codec_steps, "steps": args.steps}
    digest = save(prior, args.out, about)
    logging.info("%s: %d bytes, sha256 %s", args.out, args.out.stat().st_size, digest)


def train(
    space: str,
    given: Path,
    *,
    seed: int,
    codec: Path | None = None,
    codec_steps: int,
    codec_minutes: float = math.inf,
    steps: int,
    minutes: float = math.inf,
) -> CodePrior:
    """The prior trained on the features (`arkit`) or the pairs (`bfm`) in the folder `given`."""
    generator = torch.Generator().manual_seed(seed)
    limits: dict[str, Any] = {"steps": codec_steps, "minutes": codec_minutes, "generator": generator}
    face: Codec | None = None
    batches: MouthBatches | PlainBatches
    if space == "arkit":
        data, manners = load_features(given), tuple(manner.name for manner in MANNERS)
        motion, clean = Codec(len(MOUTH)), data.motion.flatten(0, 1)
        batches = MouthBatches(data.motion)
        usual = batches.plain
    else:
        data, manners = load_pairs(given)
        clean = data.motion[:, 0]
        motion, batches = Codec(clean.shape[1], slots=BFM_SLOTS), PlainBatches(clean)
        usual = batches.plain
    if codec is not None:
        from sadtalker_ext.motion.code_lips import load_code_prior

        taken = load_code_prior(codec, space)
        motion.load_state_dict(taken.motion.state_dict())
        face = taken.face
    else:
        loss = train_codec(motion, batches, clean, **limits)
        moved = employ(motion, usual, generator)
        logging.info("codec: loss %.4f, %d idle codes given other places", loss, moved)
        if space == "arkit":
            face = Codec(len(FACE), slots=FACE_SLOTS)
            drawn = torch.from_numpy(drawn_faces(FACE_MINUTES, seed))
            loss = train_codec(face, FaceBatches(drawn), drawn, **limits)
            moved = employ(face, lambda given: crops_of(drawn, given), generator)
            logging.info("face codec: loss %.4f, %d idle codes given other places", loss, moved)
    speech = begun(motion, len(manners), load_visemenet())
    loss = train_speaker(speech, motion, data, steps=steps, minutes=minutes, generator=generator)
    logging.info("speech: %.3f nats a code", loss)
    return CodePrior(space, motion.eval(), face and face.eval(), speech.eval(), manners)


if __name__ == "__main__":
    main()
