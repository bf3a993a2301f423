"""A prepared corpus into the weights of one of CodeTalker's stages: networks, plans and rules together."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from ....checkpoints.state import file_hash
from ....checkpoints.tensors import read_tensors
from ....errors import TrainingError
from ....host import Check, nothing
from ....tracks import BIWI_VERTICES
from ....training.clips import ClipCache
from ....training.journal import Journal
from ....training.loop import Outcome, Training, number_of, own_randomness
from ....training.objective import Objective
from ....training.plan import Plan
from ....training.run_folder import ABOUT, RunFolder
from ....training.worker import open_worker
from ....version import __version__
from ..networks import (
    BIWI_QUERY,
    BIWI_SIZES,
    PUBLISHED,
    SOUND,
    VOCASET_QUERY,
    VOCASET_SIZES,
    CodeQuery,
    Compat,
    QuerySizes,
    Sizes,
    VQAutoEncoder,
)
from ..networks.wav2vec import KERNELS, PUBLISHED_SIZES, STRIDES, wav2vec2_sizes
from . import stage1 as codetalker_stage1
from . import stage2 as codetalker_stage2
from .begun import Begun, begun, understood
from .codebook import CodebookRules
from .speech_weights import read_wav2vec2
from .stage1 import Stage1, Stage1Rules, corpus_scale, trainable
from .stage2 import DOUBT, Stage2, Stage2Rules, rhythm_of

Size = Literal["published", "small"]
# For trying out, and for meshes of a few hundred vertices.
SMALL = Sizes(0, width=64, hidden=96, layers=2, slots=8, code=8, entries=64)
SMALL_SPEECH: Mapping[str, Any] = {
    **PUBLISHED_SIZES,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 128,
    "conv_dim": (32,) * len(STRIDES),
    "conv_kernel": KERNELS,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


@dataclass(frozen=True)
class Choices:
    """What a user asks for. published: nothing but what the authors did; else with what mends its failures.

    sound: networks with positions in time and norms within a frame, which only this program reads. size:
    of new networks. start: weights to go on from. stage1, wav2vec2: files that stage 2 needs; a run that
    is resumed knows them, and stage1 says where the same file lies now. plan: fields of `Plan` that
    differ. codebook: fields of `CodebookRules`. doubt: of `Stage2Rules`. normalise: offsets are scaled.
    """

    published: bool = False
    sound: bool = False
    size: Size = "published"
    start: Path | None = None
    stage1: Path | None = None
    wav2vec2: Path | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)
    codebook: Mapping[str, Any] = field(default_factory=dict)
    doubt: float | None = None
    normalise: bool = True
    device: str = "auto"
    resume: bool = False
    tensorboard: bool = True


def train(
    stage: Literal[1, 2],
    cache: ClipCache,
    out: str | Path,
    choices: Choices,
    *,
    check: Check = nothing,
    most_steps: int | None = None,
) -> Outcome:
    """Trains a stage on a prepared corpus into the folder `out`; see `Training.fit` for what it raises.

    Writes stage1.pth.tar or stage2.pth.tar in the layout of the published files, in the corpus's units.
    """
    _check_corpus(cache)
    kind = Stage1 if stage == 1 else Stage2
    run = RunFolder(out, kind.file, resume=choices.resume)
    told = begun(run.told(), stage, run.folder / ABOUT) if choices.resume else None
    plan = _plan(stage, cache, choices, told)
    with open_worker(choices.device, plan.precision, skipping=kind.skips) as (worker, note):
        journal_choices = {"tensorboard": choices.tensorboard, "quiet": worker.rank != 0}
        with own_randomness(worker.device):
            torch.manual_seed(number_of(plan.seed, "network"))
            notes: list[str] = [note] if note else []
            objective = _objective(stage, cache, choices, told, notes)
        state = run.load_state() if choices.resume else {}
        journal = Journal(run.folder, first_step=state.get("step", 0), **journal_choices)
        try:
            for sentence in notes:
                journal.say(sentence)
            training = Training(
                objective, cache, plan, run, worker, journal, check=check, most_steps=most_steps
            )
            if state:
                training.resume(state)
                state.clear()  # as large as the network and its optimiser together
                if worker.rank == 0 and stage == 2 and choices.stage1 is not None:
                    run.tell({**run.told(), **_of_stage1(choices.stage1)})
            elif worker.rank == 0:
                run.tell(_about(stage, cache, plan, objective, choices))
            outcome = training.fit()
        finally:
            journal.close()
        if worker.rank == 0:
            run.tell({**run.told(), "plan": asdict(plan), "outcome": asdict(outcome)})
    return outcome


def _check_corpus(cache: ClipCache) -> None:
    if cache.info.dim % 3 or not cache.templates():
        raise TrainingError(
            f"{cache.folder} is of the space {cache.info.space}; CodeTalker learns offsets of vertices."
        )


def _plan(stage: int, cache: ClipCache, choices: Choices, told: Begun | None) -> Plan:
    module = codetalker_stage1 if stage == 1 else codetalker_stage2
    plan = module.PUBLISHED_PLAN if choices.published else module.SOUND_PLAN
    if cache.info.dim == 3 * BIWI_VERTICES:
        plan = replace(plan, halve_every=0)
    if told is not None:
        plan = told.plan
    return replace(plan, **{name: value for name, value in choices.plan.items() if value is not None})


def _objective(
    stage: int, cache: ClipCache, choices: Choices, told: Begun | None, notes: list[str]
) -> Objective:
    if told is not None:
        choices, scale = replace(choices, published=told.published, sound=told.sound), told.scale
    else:
        scale = corpus_scale(cache) if choices.normalise and not choices.published else 1.0
    if stage == 1:
        return _stage1(cache, choices, told, scale)
    return _stage2(cache, choices, told, scale, notes)


def _stage1(cache: ClipCache, choices: Choices, told: Begun | None, scale: float) -> Stage1:
    compat = _compat(choices)
    if told is not None:
        assert isinstance(told.sizes, Sizes)
        with understood(told.file):
            network = VQAutoEncoder(told.sizes, told.compat)
    elif choices.start is not None:
        network = _started(VQAutoEncoder.from_state, choices.start)
        network.rescale(1 / scale)
    else:
        network = VQAutoEncoder(_sizes(cache, choices.size), compat)
    _require_vertices(network.vertices, cache, choices.start if told is None else told.file)
    if told is not None:
        rules = told.codebook
    else:
        rules = None if choices.published else CodebookRules(**choices.codebook)
    return Stage1(network, Stage1Rules(scale, rules, choices.start is None))


def _stage2(cache: ClipCache, choices: Choices, told: Begun | None, scale: float, notes: list[str]) -> Stage2:
    file = _stage1_file(choices, told)
    stage1 = VQAutoEncoder.from_state(read_tensors(file, "state_dict."))
    trainable(stage1)
    stage1.rescale(1 / scale)
    _require_vertices(stage1.vertices, cache, file)
    if told is not None:
        assert isinstance(told.sizes, QuerySizes)
        assert told.rhythm is not None
        with understood(told.file):
            network = CodeQuery(told.sizes, told.rhythm, told.compat)
        _require_vertices(network.vertices, cache, told.file)
    elif choices.start is not None:
        network = _started(CodeQuery.from_state, choices.start)
        network.rescale(1 / scale)
        _require_vertices(network.vertices, cache, choices.start)
        network = _with_styles(network, len(cache.info.subjects), notes)
    else:
        network = _new_query(cache, choices, stage1, notes)
    if network.sizes.features != stage1.sizes.slots * stage1.sizes.code:
        other = choices.start if told is None else told.file.parent
        raise TrainingError(f"{other} was trained for another stage 1 than {file}.")
    random = choices.wav2vec2 is None and choices.start is None
    whole_ear = told.whole_ear if told is not None else random and not choices.published
    rules = Stage2Rules(scale, free_running=not choices.published, doubt=0.0, whole_ear=whole_ear)
    if not choices.published:
        doubt = told.doubt if told is not None else choices.doubt
        rules = replace(rules, doubt=DOUBT if doubt is None else doubt)
    return Stage2(network, stage1, rules)


def _stage1_file(choices: Choices, told: Begun | None) -> Path:
    """The stage 1 that a stage 2 speaks to; of a resumed run the same as before, wherever it lies now."""
    file = choices.stage1 or (told.stage1 if told is not None else None)
    if file is None:
        raise TrainingError("Stage 2 needs the stage 1 that it speaks to; name its file with --stage1.")
    if not file.is_file():
        if told is not None:
            raise TrainingError(f"There is no stage 1 {file}; say with --stage1 where it lies now.")
        raise TrainingError(f"There is no stage 1 {file}; train one by: sadtalker train codetalker-stage1.")
    if told is not None and told.stage1_sha256 not in ("", _sha256(file)):
        raise TrainingError(
            f"{file} is not the stage 1 that this run began with (its sha256 differs); name that one with "
            "--stage1, or start a new run."
        )
    return file


def _of_stage1(file: Path) -> dict[str, str]:
    return {"stage1": str(file.resolve()), "stage1_sha256": _sha256(file)}


def _sha256(file: Path) -> str:
    try:
        return file_hash(file)
    except OSError as error:
        raise TrainingError(f"{file} cannot be read ({error.strerror}); check its permissions.") from error


def _new_query(cache: ClipCache, choices: Choices, stage1: VQAutoEncoder, notes: list[str]) -> CodeQuery:
    heard = None if choices.wav2vec2 is None else read_wav2vec2(choices.wav2vec2)
    small = choices.size == "small"
    base = BIWI_QUERY if stage1.vertices == BIWI_VERTICES else VOCASET_QUERY
    sizes = replace(
        base,
        vertices=stage1.vertices,
        styles=len(cache.info.subjects),
        features=stage1.sizes.slots * stage1.sizes.code,
        width=stage1.sizes.width,
        hidden=2 * stage1.sizes.width,
        layers=2 if small else base.layers,
        speech=wav2vec2_sizes(heard) if heard is not None else SMALL_SPEECH if small else PUBLISHED_SIZES,
    )
    sound = choices.sound or stage1.compat == SOUND
    network = CodeQuery(sizes, rhythm_of(cache), SOUND if sound else _compat(choices))
    if heard is None:
        notes.append(
            "It hears with random weights, which learn little from so few hours; better name a "
            "wav2vec2-base-960h, or a stage 2 that you have, by --wav2vec2."
        )
        return network
    own = network.audio_encoder.state_dict()
    missing = [name for name in own if name not in heard]
    if [name for name in missing if name != "masked_spec_embed"]:
        raise TrainingError(f"{choices.wav2vec2} lacks {missing[0]} of a wav2vec 2.0.")
    network.audio_encoder.load_state_dict({name: heard.get(name, own[name]) for name in own})
    return network


def _with_styles(network: CodeQuery, styles: int, notes: list[str]) -> CodeQuery:
    """The network with as many styles as the corpus has subjects; new ones begin as the mean of all."""
    if network.styles == styles:
        return network
    notes.append(f"The weights know {network.styles} manners and the corpus has {styles}: all begin anew.")
    table = network.learnable_style_emb.weight.detach()
    made = torch.nn.Embedding(styles, table.shape[1])
    with torch.no_grad():
        made.weight.copy_(table.mean(dim=0, keepdim=True).expand(styles, -1))
    network.learnable_style_emb = made
    network.sizes = replace(network.sizes, styles=styles)
    return network


def _sizes(cache: ClipCache, size: Size) -> Sizes:
    vertices = cache.info.dim // 3
    base = BIWI_SIZES if vertices == BIWI_VERTICES else VOCASET_SIZES
    return replace(SMALL if size == "small" else base, vertices=vertices)


def _compat(choices: Choices) -> Compat:
    if choices.sound and choices.published:
        raise TrainingError("--sound and --published contradict each other; give one of them.")
    return SOUND if choices.sound else PUBLISHED


def _started(read: Callable[[Mapping[str, torch.Tensor]], Any], file: Path) -> Any:
    if not file.is_file():
        raise TrainingError(f"There are no weights {file} to start from.")
    return trainable(read(read_tensors(file, "state_dict.")))


def _require_vertices(vertices: int, cache: ClipCache, file: Path | None) -> None:
    if 3 * vertices != cache.info.dim:
        raise TrainingError(
            f"{file} is of a mesh of {vertices:,} vertices, but the corpus has {cache.info.dim // 3:,}."
        )


def _about(
    stage: int, cache: ClipCache, plan: Plan, objective: Objective, choices: Choices
) -> dict[str, Any]:
    assert isinstance(objective, (Stage1, Stage2))
    network, rules = objective.network, objective.rules
    codebook = rules.codebook if isinstance(rules, Stage1Rules) else None
    sizes = asdict(network.sizes)
    if isinstance(network, CodeQuery):
        sizes["speech"] = dict(network.sizes.speech)
    return {
        "what": f"CodeTalker, stage {stage}",
        "version": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "corpus": asdict(cache.info),
        "cache": str(cache.folder.resolve()),
        "clips": cache.fingerprint(),
        "plan": asdict(plan),
        "choices": {"published": choices.published, "sound": choices.sound, "size": choices.size},
        "scale": rules.scale,
        "doubt": rules.doubt if isinstance(rules, Stage2Rules) else None,
        "whole_ear": rules.whole_ear if isinstance(rules, Stage2Rules) else None,
        "codebook": None if codebook is None else asdict(codebook),
        "sizes": sizes,
        "compat": asdict(network.compat),
        "rhythm": asdict(network.rhythm) if isinstance(network, CodeQuery) else None,
        **({} if choices.stage1 is None else _of_stage1(choices.stage1)),
        "start": None if choices.start is None else str(choices.start),
        "wav2vec2": None if choices.wav2vec2 is None else str(choices.wav2vec2),
    }
