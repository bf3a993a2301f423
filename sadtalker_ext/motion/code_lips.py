"""Turns speech into motion by a prior over codes: lips in the ARKit space, or expressions in the `bfm` space.

CodeTalker's idea for portraits: speech chooses codes of a learnt vocabulary of movements, one set after the
other, so that lips move as lips do and do not blur. The embedded weights learnt from synthetic speech.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..audio import features
from ..checkpoints import read_contents
from ..errors import OptionsError, Place, WeightsError
from ..host import Check, Report, nothing
from ..system.caches import kept
from ..system.foreign import damage_as, parse_json
from ..system.paths import ASSETS, is_file
from ..tracks import ARKIT, BFM, MotionTrack
from .code_layout import FACE, MOUTH, ROWS_A_SECOND, joined
from .visemes import QUIETEST_PEAK, SpectrumMeter, normalise

if TYPE_CHECKING:
    import torch

    from ..audio import Speech
    from .code_prior import Codec, Speaker

WEIGHTS = ASSETS / "code_prior.safetensors"
BFM_FILE = "code_prior_bfm.safetensors"  # in the models folder: trained by the user
FORMAT = "sadtalker code prior 1"
COLUMNS = {"arkit": len(MOUTH), "bfm": len(BFM.channels["expression"])}
CODES_AT_ONCE = 500  # that are decoded together, 20 s
FEWEST_FPS = 25.0  # below this a frame takes the firmest closure in its time, lest it falls between two
PRESS = MOUTH.index("mouthPress")
FAINT = 0.03  # of a coefficient: what is less fades to rest


@dataclass(frozen=True)
class CodePrior:
    """A vocabulary of motion and what speaks it.

    motion: codec of what speech moves. face: codec of other coefficients, for `denoise`; None in `bfm`.
    manners: names, by number. sha256: of the file.
    """

    space: str
    motion: Codec
    face: Codec | None
    speech: Speaker
    manners: tuple[str, ...]
    sha256: str = ""

    def shares(self, manner: int = 0, mix: int | None = None, share: float = 0.0) -> np.ndarray:
        """(M,) float32 shares of the manners: one, or two mixed; OptionsError for a number there is not."""
        shares = np.zeros(len(self.manners), np.float32)
        for number, part in ((manner, 1.0 if mix is None else 1 - share), (mix, share)):
            if number is None:
                continue
            if not 0 <= number < len(shares):
                known = ", ".join(f"{index} {name}" for index, name in enumerate(self.manners))
                raise OptionsError(
                    "{manner} {number} is not known to the code prior; it has: {known}.",
                    "manner",
                    number=number,
                    known=known,
                )
            shares[number] += part
        return shares


def load_code_prior(path: str | Path | None = None, space: str = "arkit") -> CodePrior:
    """The prior in `path` (default: the embedded one), read once.

    Raises WeightsError where the file is missing, damaged, or of another network or space.
    """
    prior = _load(str(path or WEIGHTS))
    if prior.space != space:
        raise WeightsError(
            f"The code prior {Path(path or WEIGHTS).name} is of the {prior.space} space, not {space}; "
            "train one for it with recipes.code_prior.train."
        )
    return prior


def bfm_weights(models_dir: Path) -> Path | None:
    """The user's own prior for SadTalker's expressions, if the models folder has one."""
    places = (models_dir / BFM_FILE, models_dir / "checkpoints" / BFM_FILE)
    return next((path for path in places if is_file(path)), None)


def bfm_prior(models_dir: Path) -> CodePrior:
    """The user's own prior for SadTalker's expressions; WeightsError where the models folder has none."""
    path = bfm_weights(models_dir)
    if path is None:
        raise WeightsError(
            "For SadTalker's expressions codetalker needs {file} in {path}; train it from recordings of your "
            "own (docs/code-prior.md), or choose {lips} auto.",
            "lips",
            Place(models_dir, "the folder for models"),
            file=BFM_FILE,
        )
    return load_code_prior(path, "bfm")


def expressions(
    samples: np.ndarray, prior: CodePrior, shares: np.ndarray, fps: float, frames: int, check: Check = nothing
) -> np.ndarray:
    """(frames, 64) float32 at `fps`: what speech (N,) at 16 kHz adds to a face's own expression."""
    return shown(spoken(samples, prior, shares, check=check), fps, frames)


def code_lips(
    speech: Speech,
    fps: float,
    frames: int,
    *,
    manner: int = 0,
    mix: int | None = None,
    share: float = 0.0,
    check: Check = nothing,
    progress: Report = nothing,
) -> MotionTrack:
    """Lips for speech: `frames` rows at `fps` in the ARKit space, all but the lips channel at rest.

    manner, mix, share: see `CodePrior.shares`. The same speech always gives the same track. Raises
    OptionsError for a manner that is not there, WeightsError where the weights are unusable.
    """
    prior = load_code_prior()
    shares = prior.shares(manner, mix, share)
    rows = spoken(speech.samples, prior, shares, check=check, progress=progress)
    track = as_lips(rows, fps, frames)
    said = {name: round(float(part), 3) for name, part in zip(prior.manners, shares, strict=True) if part}
    made_by = {"lips": "codes", "code prior": prior.sha256, "manner": said, "trained on": "synthetic speech"}
    return MotionTrack(ARKIT, fps, track.data, made_by)


def as_lips(mouth: np.ndarray, fps: float, frames: int) -> MotionTrack:
    """A track of `frames` rows at `fps` whose lips are mouth tracks (T, len(MOUTH)) at 50 Hz."""
    return MotionTrack.rest(frames, fps).with_columns(joined(_faded(shown(mouth, fps, frames, firm=PRESS))))


def spoken(
    samples: np.ndarray,
    prior: CodePrior,
    shares: np.ndarray,
    *,
    check: Check = nothing,
    progress: Report = nothing,
) -> np.ndarray:
    """Motion of speech (N,), mono 16 kHz: float32 (T, C) at 50 Hz, row j at j / 50 seconds.

    shares: (M,) of the prior's manners. Beyond the result, memory does not grow with the speech.
    """
    sets = -(-features.frame_count(len(samples)) // _per_code())
    motion = np.empty((2 * sets, prior.motion.columns), np.float32)
    done = 0
    for block in _decoded(prior.motion, _said(samples, prior, shares, check)):
        motion[done : done + len(block)] = block
        done += len(block)
        progress(done, len(motion))
    return motion


def shown(rows: np.ndarray, fps: float, frames: int, firm: int | None = None) -> np.ndarray:
    """(frames, C) of motion at 50 Hz (T, C), each frame as it is half-way through its time on screen.

    firm: a column of closures, which slow frame rates must not lose.
    """
    blur = np.sqrt(max(0.0, (0.3 / fps) ** 2 - (0.3 / FEWEST_FPS) ** 2)) * ROWS_A_SECOND
    smoothed = features.smooth(rows, blur)
    if firm is not None and fps < FEWEST_FPS:
        smoothed[:, firm] = rows[:, firm]
        for step in range(1, round((1 / fps - 1 / FEWEST_FPS) / 2 * ROWS_A_SECOND) + 1):
            smoothed[step:, firm] = np.maximum(smoothed[step:, firm], rows[:-step, firm])
            smoothed[:-step, firm] = np.maximum(smoothed[:-step, firm], rows[step:, firm])
    place = np.clip((np.arange(frames) + 0.5) / fps * ROWS_A_SECOND, 0, len(rows) - 1)
    low = np.minimum(place.astype(int), max(0, len(rows) - 2))
    weight = (place - low)[:, None].astype(np.float32)
    return smoothed[low] * (1 - weight) + smoothed[np.minimum(low + 1, len(rows) - 1)] * weight


def _faded(mouth: np.ndarray) -> np.ndarray:
    """Faint values become rest: a mouth that is nearly at rest is at rest."""
    ramp = np.clip(np.abs(mouth) / FAINT, 0, 1)
    return mouth * ramp * ramp


def _per_code() -> int:
    from .code_prior import FRAMES_A_CODE

    return FRAMES_A_CODE


def _said(samples: np.ndarray, prior: CodePrior, shares: np.ndarray, check: Check) -> Iterator[np.ndarray]:
    """Code vectors of speech in pieces, float32 (n, S, D), one set every 40 ms."""
    import torch

    from .code_prior import FRAMES_A_CODE, HEARING

    listener = prior.speech.listener
    filterbank, spectrum = listener.filterbank.numpy(), listener.spectrum.numpy()
    total = features.frame_count(len(samples))
    meter = SpectrumMeter(len(filterbank))
    for _, mel in features.log_mel_blocks(samples, filterbank):
        meter.add(mel)
    silent = meter.peak <= QUIETEST_PEAK
    reference = np.full(len(filterbank), np.inf) if silent else meter.reference(spectrum)
    state: torch.Tensor | None = None
    blocks = features.log_mel_blocks(samples, filterbank, features.BLOCK, HEARING)
    manner = torch.from_numpy(shares)[None]
    for start, (first, mel) in zip(range(0, total, features.BLOCK), blocks, strict=True):
        check()
        x = normalise(mel, reference).astype(np.float32)
        x = np.pad(x, ((0, -len(x) % FRAMES_A_CODE), (0, 0)), mode="edge")
        with torch.inference_mode():
            heard = prior.speech.hear(torch.from_numpy(x).T[None].contiguous(), manner)
            skip = (start - first) // FRAMES_A_CODE
            count = -(-min(features.BLOCK, total - start) // FRAMES_A_CODE)
            logits, state = prior.speech.speak(heard[:, skip : skip + count], state)
            # The mean of a slot's codes, each as much as it is likely: where it is sure, that is one code.
            yield torch.einsum("nsk,skd->nsd", logits[0].softmax(2), prior.motion.codebook).numpy()


def _decoded(codec: Codec, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Motion (n, C) of code vectors that come in pieces (n, S, D), each set seen with its neighbours."""
    from .code_prior import REACH, ROWS_A_CODE

    reach = REACH // ROWS_A_CODE
    waiting: np.ndarray | None = None
    before = 0  # sets at the front of `waiting` that are decoded already
    for piece in pieces:
        waiting = piece if waiting is None else np.concatenate([waiting, piece])
        ready = len(waiting) - reach
        if ready - before >= CODES_AT_ONCE:
            yield decoded(codec, waiting)[ROWS_A_CODE * before : ROWS_A_CODE * ready]
            waiting, before = waiting[ready - reach :], reach
    if waiting is not None:
        yield decoded(codec, waiting)[ROWS_A_CODE * before :]


def decoded(codec: Codec, vectors: np.ndarray) -> np.ndarray:
    """Motion (2 n, C) of code vectors (n, S, D)."""
    import torch

    with torch.inference_mode():
        return codec.decode(torch.from_numpy(vectors).permute(1, 2, 0)[None])[0].T.numpy()


@kept(2)
def _load(path: str) -> CodePrior:
    from safetensors import safe_open

    from .code_prior import Codec, Speaker

    name = Path(path).name
    wrong = WeightsError(f"The file {name} holds no code prior or is damaged; train or install it again.")
    try:
        with damage_as(wrong):
            raw = Path(path).read_bytes()
            read_contents(Path(path))
        with damage_as(wrong), safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, torch.Tensor] = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise WeightsError("The code prior {path} cannot be read ({error}).", Place(path), error) from error
    with damage_as(wrong):
        if metadata["format"] != FORMAT or int(metadata["rows_a_second"]) != ROWS_A_SECOND:
            raise wrong
        space, manners = metadata["space"], tuple(str(manner) for manner in parse_json(metadata["manners"]))
        motion = Codec.from_state(_part(tensors, "motion"))
        face = Codec.from_state(_part(tensors, "face")) if space == "arkit" else None
        speech = Speaker.from_state(_part(tensors, "speech"))
        columns = motion.columns, face.columns if face is not None else len(FACE)
        fitting = columns == (COLUMNS[space], len(FACE)) and len(manners) == speech.manners
        if not fitting or (speech.slots, speech.codes) != (motion.slots, motion.codes):
            raise wrong
    for network in (motion, face, speech):
        if network is not None:
            network.eval().requires_grad_(False)
    return CodePrior(space, motion, face, speech, manners, hashlib.sha256(raw).hexdigest())


def _part(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
