"""Stage 1: motion of a mesh into codes and back, by a vector-quantised auto-encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import nn

from ....errors import Foreign, Sentence, WeightsError
from .compat import PUBLISHED, Compat
from .layers import SLOPE, Positions, Transformer, conv_block, enlarging_block
from .quantiser import Quantiser
from .state_dicts import as_compat, can_assign, layers, load_into, plain_names, settings, with_settings

HEADS = 8


@dataclass(frozen=True)
class Sizes:
    """vertices: of the mesh. width: of the transformers. hidden: of their MLPs. layers: of each transformer.

    slots, code: a frame is that many codes, of that width. entries: in the codebook. halvings: how often time
    is halved before it is encoded. projected: the width changes around the codebook (as for BIWI).
    """

    vertices: int
    width: int = 1024
    hidden: int = 1536
    layers: int = 6
    slots: int = 16
    code: int = 64
    entries: int = 256
    heads: int = HEADS
    halvings: int = 0
    projected: bool = False
    output_bias: bool = True

    def __post_init__(self) -> None:
        if not self.projected and self.slots * self.code != self.width:
            raise ValueError("slots × code must be the width where nothing is projected")


VOCASET_SIZES = Sizes(5023)
BIWI_SIZES = Sizes(23370, slots=8, code=128, projected=True, output_bias=False)


class Projection(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Linear(inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class Encoder(nn.Module):
    """Offsets (B, T, 3·vertices) -> features (B, T / 2^halvings, slots · code)."""

    def __init__(self, sizes: Sizes, compat: Compat) -> None:
        super().__init__()
        width = sizes.width
        self.vertice_mapping = nn.Sequential(nn.Linear(3 * sizes.vertices, width), nn.LeakyReLU(SLOPE))
        first = conv_block(width, compat, stride=2 if sizes.halvings else 1)
        more = (conv_block(width, compat, nn.MaxPool1d(2)) for _ in range(1, sizes.halvings))
        self.squasher = nn.Sequential(first, *more)
        self.encoder_linear_embedding = Projection(width, width)
        self.encoder_pos_embedding = Positions(compat)
        self.encoder_transformer = Transformer(width, sizes.hidden, sizes.layers, sizes.heads, compat)
        self.encoder_linear_embedding_post: nn.Module | None = None
        if sizes.projected:
            self.encoder_linear_embedding_post = Projection(width, sizes.slots * sizes.code)

    def forward(self, offsets: torch.Tensor) -> torch.Tensor:
        x = self.squasher(self.vertice_mapping(offsets).transpose(1, 2)).transpose(1, 2)
        x = self.encoder_transformer(self.encoder_pos_embedding(self.encoder_linear_embedding(x)))
        post = self.encoder_linear_embedding_post
        return x if post is None else post(x)


class Decoder(nn.Module):
    """Quantised features (B, T, slots · code) -> offsets (B, T · 2^halvings, 3·vertices)."""

    def __init__(self, sizes: Sizes, compat: Compat) -> None:
        super().__init__()
        width = sizes.width
        first = enlarging_block(width, compat) if sizes.halvings else conv_block(width, compat)
        self.expander = nn.ModuleList([first, *(conv_block(width, compat) for _ in range(1, sizes.halvings))])
        self.decoder_linear_embedding = Projection(width, width)
        self.decoder_pos_embedding = Positions(compat)
        self.decoder_transformer = Transformer(width, sizes.hidden, sizes.layers, sizes.heads, compat)
        self.vertice_map_reverse = nn.Linear(width, 3 * sizes.vertices, bias=sizes.output_bias)
        self.decoder_linear_embedding_pre: nn.Module | None = None
        if sizes.projected:
            self.decoder_linear_embedding_pre = Projection(sizes.slots * sizes.code, width)

    def pre(self, features: torch.Tensor) -> torch.Tensor:
        """What the convolution sees of each frame, (B, T, width)."""
        pre = self.decoder_linear_embedding_pre
        return features if pre is None else pre(features)

    def expand(self, features: torch.Tensor) -> torch.Tensor:
        """(B, T · 2^halvings, width): after convolutions and norms."""
        x = self.pre(features).transpose(1, 2)
        for number, block in enumerate(self.expander):
            x = block(x)
            if number > 0:
                x = x.repeat_interleave(2, dim=2)
        return x.transpose(1, 2)

    def place(self, x: torch.Tensor, first: int = 0) -> torch.Tensor:
        """What the transformer sees of expanded frames, the first of which has that number."""
        return self.decoder_pos_embedding(self.decoder_linear_embedding(x), first)

    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """(B, T · 2^halvings, width), of which the offsets are a linear function."""
        return self.decoder_transformer(self.place(self.expand(features)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.vertice_map_reverse(self.hidden(features))


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """offsets: (B, T, 3·vertices). loss: () of the codebook. codes: (B, T', slots). perplexity: ()."""

    offsets: torch.Tensor
    loss: torch.Tensor
    codes: torch.Tensor
    perplexity: torch.Tensor


class VQAutoEncoder(nn.Module):
    """CodeTalker section 3.1 (arXiv 2301.02379). Meshes are offsets from a template, in its units.

    The published inference is `compat` = `PUBLISHED`; see `compat.py` for what is surprising in it.
    """

    def __init__(self, sizes: Sizes = VOCASET_SIZES, compat: Compat = PUBLISHED) -> None:
        super().__init__()
        self.sizes, self.compat = sizes, compat
        self.encoder = Encoder(sizes, compat)
        self.decoder = Decoder(sizes, compat)
        self.quantize = Quantiser(sizes.entries, sizes.code)

    @property
    def vertices(self) -> int:
        return self.sizes.vertices

    @property
    def slots(self) -> int:
        """Codes of a frame."""
        return self.sizes.slots

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor], **told: Any) -> VQAutoEncoder:
        """A network for inference with these weights, in which all sizes are read.

        told: fields of `Sizes` that shapes do not show (heads, halvings), or `compat`, where they differ from
        the published ones. Raises `WeightsError` where the weights are those of another network.
        """
        try:
            found = {**settings(state), **told}
            named = plain_names(state)
            with torch.device("meta" if can_assign() else "cpu"):
                made = cls(_sizes(named, found), as_compat(found))
            return load_into(made, named)
        except WeightsError:
            raise
        except Exception as error:  # shapes of strangers make layers raise anything
            raise WeightsError(unfit("stage 1", error)) from error

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """The state dict as published files have it; choices that shapes do not show are told inside."""
        values: dict[str, Any] = {}
        if self.sizes.heads != HEADS:
            values["heads"] = self.sizes.heads
        if self.sizes.halvings == 1:
            values["halvings"] = 1
        if self.compat != PUBLISHED:
            values["compat"] = asdict(self.compat)
        return with_settings(self.state_dict(), values)

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        """Let a network that learnt offsets divided by `factor` speak of offsets themselves."""
        first, last = self.encoder.vertice_mapping[0], self.decoder.vertice_map_reverse
        assert isinstance(first, nn.Linear)
        first.weight.div_(factor)
        for weight in last.parameters():
            weight.mul_(factor)

    def encode(self, offsets: torch.Tensor) -> torch.Tensor:
        """Features (B, T', slots · code), not yet quantised, of offsets (B, T, 3·vertices)."""
        if offsets.shape[1] == 1 and self._needs_two:
            return self.encoder(offsets.expand(-1, 2, -1))[:, :1]
        return self.encoder(offsets)

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Offsets (B, T, 3·vertices) of quantised features."""
        return self.decoder.vertice_map_reverse(self.hidden(features))

    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """(B, T, width): what `decode` gives, before the last layer, which is linear."""
        if features.shape[1] == 1 and self._needs_two:
            return self.decoder.hidden(features.expand(-1, 2, -1))[:, :1]
        return self.decoder.hidden(features)

    @property
    def _needs_two(self) -> bool:
        return self.compat.norm == "clip" and self.sizes.halvings == 0

    def forward(self, offsets: torch.Tensor) -> Reconstruction:
        """Offsets (B, T, 3·vertices) to codes and back; T is a multiple of 2^halvings."""
        found = self.quantize(self.encode(offsets))
        decoded = self.decode(found.features)[:, : offsets.shape[1]]
        return Reconstruction(decoded, found.loss, found.codes, found.perplexity)


def _sizes(state: Mapping[str, torch.Tensor], told: Mapping[str, Any]) -> Sizes:
    width, offsets = state["encoder.vertice_mapping.0.weight"].shape
    entries, code = state["quantize.embedding.weight"].shape
    post = state.get("encoder.encoder_linear_embedding_post.net.weight")
    blocks = layers(state, "encoder.squasher.")
    read = {
        "vertices": offsets // 3,
        "width": width,
        "hidden": state["encoder.encoder_transformer.net.1.fn.fn.l1.weight"].shape[0],
        "layers": layers(state, "encoder.encoder_transformer.net.") // 2,
        "slots": (width if post is None else post.shape[0]) // code,
        "code": code,
        "entries": entries,
        "halvings": blocks if blocks > 1 else 0,  # one block may also halve once: then it is told
        "projected": post is not None,
        "output_bias": "decoder.vertice_map_reverse.bias" in state,
    }
    known = {field.name for field in fields(Sizes)}
    return Sizes(**{**read, **{name: value for name, value in told.items() if name in known}})


def unfit(stage: str, error: Exception) -> Sentence:
    """The sentence for weights that are not those of a stage."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
    told = "The weights do not fit {stage} of CodeTalker ({reason}); fetch the file anew."
    return Sentence(told, Foreign(reason), stage=stage)
