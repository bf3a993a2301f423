"""Motion into codes and back, and speech into codes: a small vector-quantised auto-encoder and its prior.

The idea is CodeTalker's (arXiv 2301.02379), the networks are our own: convolutions small enough for a CPU,
cross-entropy over codes, a recurrent prior. Every size is read from the shapes of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .visemenet import KERNEL, N_BINS, N_MELS, STRIDE, Conv, ResidualBlock

ROWS_A_CODE = 2  # rows of motion that one set of codes stands for
FRAMES_A_CODE = 2 * ROWS_A_CODE  # frames of log-mel in the same time: they come twice as often
EDGE = 2  # rows that the outermost convolutions of the codec reach to either side
BEFORE, AFTER = (1, 2), (2, 1)  # dilations in rows of codes, of the encoder and of the decoder
TRUNK_DILATIONS = (1, 2, 4, 8, 4, 2)  # VisemeNet's
WIDE_DILATIONS = (1, 2, 4, 8)  # in codes
CODE_WIDTH = 16  # of what the prior remembers of a code
SLOT_WIDTH = 64  # hidden, of each slot's classifier


class Codec(nn.Module):
    """Motion (B, C, T) at 50 Hz into codes (B, S, T / 2) and back; T even.

    S slots a set of codes, each with K codes of D numbers: `codebook` (S, K, D). `mean` and `scale` (C,)
    normalise the motion. Neither direction sees more than `REACH` rows to either side.
    """

    mean: Tensor
    scale: Tensor
    codebook: Tensor

    def __init__(
        self, columns: int, slots: int = 6, codes: int = 64, size: int = 16, width: int = 96
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))
        self.register_buffer("codebook", torch.randn(slots, codes, size))
        kernel = 2 * EDGE + 1
        self.read = Conv(columns, width, kernel, padding=EDGE)
        self.first = ResidualBlock(width, 1)
        self.down = nn.Conv1d(ROWS_A_CODE * width, width, 1)
        self.before = nn.ModuleList(ResidualBlock(width, d) for d in BEFORE)
        self.narrow = Conv(width, slots * size, 1)
        self.widen = Conv(slots * size, width, 1)
        self.after = nn.ModuleList(ResidualBlock(width, d) for d in AFTER)
        self.up = nn.Conv1d(width, ROWS_A_CODE * width, 1)
        self.last = ResidualBlock(width, 1)
        self.write = Conv(width, columns, kernel, padding=EDGE)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Codec:
        """The codec whose weights `state` holds; KeyError or RuntimeError for other weights."""
        width, columns, _ = state["read.weight"].shape
        slots, codes, size = state["codebook"].shape
        codec = cls(columns, slots, codes, size, width)
        codec.load_state_dict(dict(state))
        return codec

    @property
    def columns(self) -> int:
        return len(self.mean)

    @property
    def slots(self) -> int:
        return self.codebook.shape[0]

    @property
    def codes(self) -> int:
        return self.codebook.shape[1]

    def encode(self, motion: Tensor) -> Tensor:
        """(B, C, T) -> (B, S, D, T / 2), to be compared with the codebook."""
        x = (motion - self.mean[:, None]) / self.scale[:, None]
        x = self.first(torch.relu(self.read(x[:, :, None])))[:, :, 0]
        batch, width, rows = x.shape
        x = x.reshape(batch, width, rows // ROWS_A_CODE, ROWS_A_CODE).transpose(2, 3)
        x = self.down(x.reshape(batch, width * ROWS_A_CODE, -1))[:, :, None]
        for block in self.before:
            x = block(x)
        slots, _, size = self.codebook.shape
        return self.narrow(x)[:, :, 0].reshape(batch, slots, size, -1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Codes (B, S, N) nearest to vectors (B, S, D, N)."""
        squares = self.codebook.square().sum(2)[:, :, None]
        return (squares - 2 * torch.einsum("skd,bsdn->bskn", self.codebook, vectors)).argmin(2)

    def look_up(self, codes: Tensor) -> Tensor:
        """Vectors (B, S, D, N) of codes (B, S, N)."""
        return torch.stack([book[codes[:, s]] for s, book in enumerate(self.codebook)], 1).transpose(2, 3)

    def decode(self, vectors: Tensor) -> Tensor:
        """(B, S, D, N) -> motion (B, C, 2 N)."""
        x = self.widen(vectors.flatten(1, 2)[:, :, None])
        for block in self.after:
            x = block(x)
        x = self.up(x[:, :, 0])
        batch, width, count = x.shape
        x = x.reshape(batch, ROWS_A_CODE, width // ROWS_A_CODE, count).permute(0, 2, 3, 1).flatten(2)
        x = self.write(self.last(x[:, :, None]))[:, :, 0]
        return x * self.scale[:, None] + self.mean[:, None]

    def forward(self, motion: Tensor) -> Tensor:
        """The motion as its nearest codes say it, (B, C, T)."""
        return self.decode(self.look_up(self.nearest(self.encode(motion))))


# Rows of motion to either side that encoding and decoding depend on, rounded up to whole codes.
REACH = ROWS_A_CODE * (sum(BEFORE) + sum(AFTER) + EDGE + 1) + 2


class Listener(nn.Module):
    """Normalised log-mel (B, N_MELS, T) at 100 Hz -> (B, width, T / 4) at 25 Hz: what the prior hears.

    T is a multiple of 4. Begins as VisemeNet does, from whose weights it starts, and hears more around.
    `filterbank` and `spectrum` are VisemeNet's.
    """

    filterbank: Tensor
    spectrum: Tensor

    def __init__(self, channels: int = 128, width: int = 192) -> None:
        super().__init__()
        self.register_buffer("filterbank", torch.zeros(N_MELS, N_BINS))
        self.register_buffer("spectrum", torch.zeros(N_MELS))
        self.read = Conv(STRIDE * N_MELS, channels, KERNEL, padding=KERNEL // 2)
        self.blocks = nn.ModuleList(ResidualBlock(channels, d) for d in TRUNK_DILATIONS)
        self.down = Conv(ROWS_A_CODE * channels, width, KERNEL, padding=KERNEL // 2)
        self.wide = nn.ModuleList(ResidualBlock(width, d) for d in WIDE_DILATIONS)

    def forward(self, mel: Tensor) -> Tensor:
        x = torch.relu(self.read(_folded(mel, STRIDE)))
        for block in self.blocks:
            x = block(x)
        x = torch.relu(self.down(_folded(x[:, :, 0], ROWS_A_CODE)))
        for block in self.wide:
            x = block(x)
        return x[:, :, 0]


# Frames of log-mel to either side of a code that the listener hears, rounded up to whole codes.
HEARING = FRAMES_A_CODE * (2 + sum(WIDE_DILATIONS) + (1 + sum(TRUNK_DILATIONS)) // ROWS_A_CODE)


def _folded(x: Tensor, stride: int) -> Tensor:
    """(B, C, T) -> (B, stride * C, 1, T / stride), channels last in memory."""
    batch, channels, frames = x.shape
    x = x.reshape(batch, channels, frames // stride, stride).transpose(2, 3)
    x = x.reshape(batch, channels * stride, 1, -1)
    return x.contiguous(memory_format=torch.channels_last)


class Speaker(nn.Module):
    """Speech into codes: p(code of each slot | speech, manner, all codes before it).

    A recurrent network reads what was heard and the codes said so far; within a set the slots follow one
    another. The code number K stands for one that is not known.
    """

    def __init__(
        self, slots: int, codes: int, manners: int, channels: int = 128, width: int = 192, memory: int = 256
    ) -> None:
        super().__init__()
        self.slots, self.codes = slots, codes
        self.listener = Listener(channels, width)
        self.manner = nn.Embedding(manners, 2 * width)
        nn.init.normal_(self.manner.weight, 0, 0.05)
        self.remember = nn.Parameter(torch.randn(slots, codes + 1, CODE_WIDTH) * 0.3)
        self.recall = nn.Linear(slots * CODE_WIDTH, width)
        self.memory = nn.GRU(2 * width, memory, batch_first=True)
        self.state_part = nn.Linear(memory + width, slots * SLOT_WIDTH)
        self.slot_part = nn.Linear(slots * CODE_WIDTH, slots * SLOT_WIDTH, bias=False)
        self.answer = nn.Parameter(torch.randn(slots, SLOT_WIDTH, codes) / SLOT_WIDTH**0.5)
        self.prior = nn.Parameter(torch.zeros(slots, codes))
        order = torch.arange(slots)
        earlier = (order[:, None] > order[None]).float()  # a slot's classifier sees the slots before it
        mask = earlier.repeat_interleave(SLOT_WIDTH, 0).repeat_interleave(CODE_WIDTH, 1)
        self.register_buffer("mask", mask, persistent=False)

    mask: Tensor

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Speaker:
        """The network whose weights `state` holds; KeyError or RuntimeError for other weights."""
        slots, codes = state["prior"].shape
        speaker = cls(
            slots,
            codes,
            manners=len(state["manner.weight"]),
            channels=len(state["listener.read.weight"]),
            width=len(state["listener.down.weight"]),
            memory=state["memory.weight_hh_l0"].shape[1],
        )
        speaker.load_state_dict(dict(state))
        return speaker

    @property
    def manners(self) -> int:
        return self.manner.num_embeddings

    def hear(self, mel: Tensor, manner: Tensor) -> Tensor:
        """(B, N_MELS, T) and shares of manners (B, M), which sum to 1 -> (B, T / 4, width)."""
        heard = self.listener(mel).transpose(1, 2)
        gain, shift = (manner @ self.manner.weight)[:, None].chunk(2, dim=2)
        return torch.relu(heard * (1 + gain) + shift)

    def known(self, codes: Tensor) -> Tensor:
        """What is remembered of codes (B, N, S), 0..K: (B, N, S * CODE_WIDTH)."""
        return torch.cat([book[codes[:, :, s]] for s, book in enumerate(self.remember)], dim=2)

    def forward(self, heard: Tensor, before: Tensor, now: Tensor) -> Tensor:
        """Logits (B, N, S, K) of all sets of codes at once.

        heard: (B, N, width), of `hear`. before: (B, N, S) the codes one set earlier, K at the start.
        now: (B, N, S) the codes themselves, of which each slot sees only the slots before it.
        """
        said = torch.relu(self.recall(self.known(before)))
        state, _ = self.memory(torch.cat([heard, said], dim=2))
        return self.logits(state, heard, self.known(now))

    def speak(self, heard: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (B, N, S, K) when nothing is said yet, and the memory's state with which to go on.

        heard: (B, N, width). Each slot is given the likeliest codes of those before it in its set. Of earlier
        sets the memory holds what was heard and not what was said: on unknown voices mistakes would hang
        together.
        """
        known = self.known(torch.full((*heard.shape[:2], self.slots), self.codes, device=heard.device))
        memory, state = self.memory(torch.cat([heard, torch.relu(self.recall(known))], dim=2), state)
        spoken = []
        for slot, book in enumerate(self.remember):
            logits = self.logits(memory, heard, known)[:, :, slot]
            known[:, :, slot * CODE_WIDTH : (slot + 1) * CODE_WIDTH] = book[logits.argmax(2)]
            spoken.append(logits)
        assert state is not None
        return torch.stack(spoken, dim=2), state

    def logits(self, state: Tensor, heard: Tensor, known: Tensor) -> Tensor:
        """Logits (B, N, S, K) from the memory's state, what was heard and what is known of the same set."""
        hidden = self.state_part(torch.cat([state, heard], dim=2))
        hidden = hidden + nn.functional.linear(known, self.slot_part.weight * self.mask)
        hidden = torch.relu(hidden).unflatten(2, (self.slots, SLOT_WIDTH))
        return torch.einsum("bnsh,shk->bnsk", hidden, self.answer) + self.prior
