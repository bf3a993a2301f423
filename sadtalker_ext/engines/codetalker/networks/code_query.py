"""Stage 2: speech and a manner of speaking into the features that stage 1 quantises, frame after frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ....errors import DependencyError, WeightsError
from .autoencoder import VQAutoEncoder, unfit
from .compat import AUDIO_RATE, BIWI, BIWI_VERTICES, PUBLISHED, VOCASET, Compat, Rhythm
from .layers import DROPOUT, sines
from .state_dicts import as_compat, can_assign, layers, load_into, plain_names, settings, with_settings
from .wav2vec import PUBLISHED_SIZES, build_wav2vec2, masked, wav2vec2_sizes

HEADS = 4


@dataclass(frozen=True)
class QuerySizes:
    """vertices: of the mesh. width, hidden, layers, heads: of the transformer. features: slots · code.

    styles: rows of manners. speech: what a Wav2Vec2Config says about sizes.
    """

    vertices: int
    styles: int
    features: int = 1024
    width: int = 1024
    hidden: int = 2048
    layers: int = 6
    heads: int = HEADS
    speech: Mapping[str, Any] = field(default_factory=lambda: PUBLISHED_SIZES)


VOCASET_QUERY = QuerySizes(5023, styles=8)
BIWI_QUERY = QuerySizes(BIWI_VERTICES, styles=6, layers=12)


@dataclass(frozen=True, eq=False)
class Taught:
    """What training compares. offsets, wanted: (B, T, 3·vertices); features, target: (B, T, slots · code).

    T is the given motion's length, or that of its speech where that is shorter.
    """

    offsets: torch.Tensor
    wanted: torch.Tensor
    features: torch.Tensor
    target: torch.Tensor
    codes: torch.Tensor

    @property
    def motion_loss(self) -> torch.Tensor:
        return F.mse_loss(self.offsets, self.wanted)

    @property
    def code_loss(self) -> torch.Tensor:
        return F.mse_loss(self.features, self.target)

    @property
    def loss(self) -> torch.Tensor:
        """As published: the two with equal weights."""
        return self.motion_loss + self.code_loss


class CodeQuery(nn.Module):
    """CodeTalker section 3.2 (arXiv 2301.02379): what follows in time, given speech and what was before.

    The published inference is `compat` = `PUBLISHED`; see `compat.py` for what is surprising in it.
    """

    def __init__(
        self, sizes: QuerySizes = VOCASET_QUERY, rhythm: Rhythm = VOCASET, compat: Compat = PUBLISHED
    ) -> None:
        super().__init__()
        self.sizes, self.rhythm, self.compat = sizes, rhythm, compat
        width = sizes.width
        self.audio_encoder: Any = build_wav2vec2(sizes.speech)
        self.audio_feature_map = nn.Linear(sizes.speech["hidden_size"], width)
        self.vertice_map = nn.Linear(3 * sizes.vertices, width)
        layer = nn.TransformerDecoderLayer(width, sizes.heads, sizes.hidden, DROPOUT, batch_first=True)
        self.transformer_decoder = nn.TransformerDecoder(layer, sizes.layers)
        self.feat_map = nn.Linear(width, sizes.features, bias=False)
        nn.init.zeros_(self.feat_map.weight)
        self.learnable_style_emb = nn.Embedding(sizes.styles, width)
        self.dropout = nn.Dropout(DROPOUT)
        self.audio_encoder.feature_extractor.requires_grad_(False)

    @property
    def vertices(self) -> int:
        return self.sizes.vertices

    @property
    def styles(self) -> int:
        """Manners of speaking that it was trained with."""
        return self.sizes.styles

    @property
    def fps(self) -> int:
        return self.rhythm.fps

    @property
    def period(self) -> int:
        return self.rhythm.period

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor], **told: Any) -> CodeQuery:
        """A network for inference with these weights, in which all sizes are read.

        told: `heads`, `rhythm` or `compat`, where they are not the published ones. The rhythm is that of the
        file's position table, or of the mesh. Raises `WeightsError` where the weights are another network's,
        and `DependencyError` where transformers is missing.
        """
        try:
            found = {**settings(state), **told}
            named = plain_names(state)
            rhythm = found.get("rhythm") or _rhythm(state)
            if not isinstance(rhythm, Rhythm):
                rhythm = Rhythm(**rhythm)
            sizes = _sizes(named, found.get("heads", HEADS))
            with torch.device("meta" if can_assign() else "cpu"):
                made = cls(sizes, rhythm, as_compat(found))
            return load_into(made, named)
        except (DependencyError, WeightsError):
            raise
        except Exception as error:  # shapes of strangers make layers raise anything
            raise WeightsError(unfit("stage 2", error)) from error

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """The state dict as published files have it; choices that shapes do not show are told inside."""
        values: dict[str, Any] = {}
        if self.sizes.heads != HEADS:
            values["heads"] = self.sizes.heads
        if self.rhythm != _usual_rhythm(self.vertices):
            values["rhythm"] = asdict(self.rhythm)
        if self.compat != PUBLISHED:
            values["compat"] = asdict(self.compat)
        return with_settings(self.state_dict(), values)

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        """Let a network that learnt offsets divided by `factor` take offsets themselves."""
        self.vertice_map.weight.div_(factor)

    def trainable(self) -> list[nn.Parameter]:
        """All weights but those of the convolutions that hear, which stay as they were pre-trained."""
        return [weight for weight in self.parameters() if weight.requires_grad]

    # What is heard.

    def cnn(self, speech: torch.Tensor) -> torch.Tensor:
        """(B, C, S) steps of sound, 50 a second, of normalised waveforms (B, N) at 16 kHz."""
        return self.audio_encoder.feature_extractor(speech)

    def paced(self, steps: torch.Tensor, frames: int | None = None) -> torch.Tensor:
        """Steps (B, C, S) laid on frames: (B, M, C), M rows of which a frame looks at `rhythm.keys`.

        frames: as many as the motion has, in training; None is the published inference.
        """
        count = steps.shape[2]
        if self.rhythm.pairs:
            count -= count % 2
            count = count if frames is None else min(count, 2 * frames)
            return steps[:, :, :count].transpose(1, 2)
        if frames is None and self.compat.stretch == "clock":
            return self.by_clock(steps, self.rhythm.frames(count))
        wanted = self.rhythm.frames(count) if frames is None else frames
        return F.interpolate(steps, size=wanted, mode="linear", align_corners=True).transpose(1, 2)

    def by_clock(self, steps: torch.Tensor, frames: int, first: int = 0) -> torch.Tensor:
        """(B, frames, C): steps interpolated at the times of frames; `first` is the number of the first."""
        at = torch.arange(first, first + frames).double() * (AUDIO_RATE / self.fps)
        at = at.clamp(max=steps.shape[2] - 1)
        low = at.floor().long()
        high = (low + 1).clamp(max=steps.shape[2] - 1)
        return torch.lerp(steps[:, :, low], steps[:, :, high], (at - low).to(steps)).transpose(1, 2)

    def project(self, paced: torch.Tensor) -> torch.Tensor:
        """What wav2vec's transformer sees, (B, M, 768)."""
        projected = self.audio_encoder.feature_projection(paced)
        # transformers after 4.6 also returns what it normalised.
        return projected[0] if isinstance(projected, tuple) else projected

    def encode_speech(self, paced: torch.Tensor) -> torch.Tensor:
        """(B, M, 768) from `paced` steps, by wav2vec's transformer."""
        projected = self.project(paced)
        if self.training:
            projected = masked(projected, self.audio_encoder.masked_spec_embed)
        return self.audio_encoder.encoder(projected).last_hidden_state

    def hear(self, speech: torch.Tensor, frames: int | None = None) -> torch.Tensor:
        """What frames look at, (B, M, width), of normalised waveforms (B, N) at 16 kHz."""
        return self.audio_feature_map(self.encode_speech(self.paced(self.cnn(speech), frames)))

    # What was before.

    def style(self, first: int, second: int | None = None, share: float = 0.0) -> torch.Tensor:
        """(width,): the vector of a manner, or a mixture with `share` (0..1) of a second one."""
        table = self.learnable_style_emb.weight
        if second is None:
            return table[first]
        return (1 - share) * table[first] + share * table[second]

    def positions(self, frames: int, first: int = 0) -> torch.Tensor:
        """(frames, width): codes that repeat with the period."""
        numbers = first + torch.arange(frames, device=self.feat_map.weight.device)
        return sines(numbers % self.period, self.sizes.width).to(self.feat_map.weight.dtype)

    def placed(self, embedded: torch.Tensor) -> torch.Tensor:
        """Embedded frames (B, T, width) with their positions."""
        return self.dropout(embedded + self.positions(embedded.shape[1]))

    def bias(self, frames: int) -> torch.Tensor:
        """(heads, frames, frames) added to attention: later frames are hidden, earlier periods weaker."""
        numbers = torch.arange(frames, device=self.feat_map.weight.device)
        ago = numbers[:, None] - numbers
        fading = -slopes(self.sizes.heads).to(ago.device)[:, None, None] * (ago // self.period)
        return fading.masked_fill(ago < 0, float("-inf")).to(self.feat_map.weight.dtype)

    def looking(self, frames: int, rows: int) -> torch.Tensor:
        """(frames, rows) bool, True where a frame does not look at a row of sound."""
        device = self.feat_map.weight.device
        own = torch.arange(rows, device=device) // self.rhythm.keys
        return own != torch.arange(frames, device=device)[:, None]

    def attend(self, placed: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        """Features (B, T, slots · code), not yet quantised, of placed frames and what was heard."""
        batch, frames, _ = placed.shape
        bias = self.bias(frames).repeat(batch, 1, 1)
        looking = self.looking(frames, heard.shape[1])
        x = placed
        for layer in self.transformer_decoder.layers:  # as nn.TransformerDecoder, which searches masks
            x = layer(x, heard, tgt_mask=bias, memory_mask=looking)
        return self.feat_map(x)

    def forward(
        self,
        speech: torch.Tensor,
        offsets: torch.Tensor,
        style: torch.Tensor,
        stage1: VQAutoEncoder,
        before: torch.Tensor | None = None,
    ) -> Taught:
        """Teacher forcing: every frame is predicted from the true ones before it.

        speech: normalised waveforms (B, N) at 16 kHz. offsets: (B, T, 3·vertices). style: (B,) int64. stage1:
        in eval mode, its weights frozen; gradients flow through its decoder. before: frames to predict from
        in the place of the true ones, like `offsets`; the last of them is not used.
        """
        frames = offsets.shape[1]
        known = offsets if before is None else before
        heard = self.hear(speech, frames)
        frames = min(frames, heard.shape[1] // self.rhythm.keys)
        offsets = offsets[:, :frames]
        earlier = torch.cat([torch.zeros_like(offsets[:, :1]), known[:, : frames - 1]], dim=1)
        embedded = self.vertice_map(earlier) + self.learnable_style_emb(style)[:, None]
        features = self.attend(self.placed(embedded), heard)
        quantised, codes = stage1.quantize.snap(features)
        with torch.no_grad():
            target, _ = stage1.quantize.snap(stage1.encode(offsets))
        return Taught(stage1.decode(quantised), offsets, features, target, codes)


def slopes(heads: int) -> torch.Tensor:
    """(heads,): how much attention weakens with each period; the number of heads is a power of two."""
    return 2.0 ** (-(8 / heads) * torch.arange(1, heads + 1))


def _rhythm(state: Mapping[str, torch.Tensor]) -> Rhythm:
    table = state.get("PPE.pe")
    if table is not None:
        for known in (VOCASET, BIWI):
            if table.shape[1] == (PUBLISHED.longest // known.period + 1) * known.period:
                return known
    return _usual_rhythm(state["vertice_map.weight"].shape[1] // 3)


def _usual_rhythm(vertices: int) -> Rhythm:
    return BIWI if vertices == BIWI_VERTICES else VOCASET


def _sizes(state: Mapping[str, torch.Tensor], heads: int) -> QuerySizes:
    heard = "audio_encoder."
    speech = {name[len(heard) :]: tensor for name, tensor in state.items() if name.startswith(heard)}
    features, width = state["feat_map.weight"].shape
    return QuerySizes(
        vertices=state["vertice_map.weight"].shape[1] // 3,
        styles=state["learnable_style_emb.weight"].shape[0],
        features=features,
        width=width,
        hidden=state["transformer_decoder.layers.0.linear1.weight"].shape[0],
        layers=layers(state, "transformer_decoder.layers."),
        heads=heads,
        speech=wav2vec2_sizes(speech),
    )
