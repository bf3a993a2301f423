"""PoseVAE's decoder: blocks of 32 mel windows, a style and noise into head motion."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from .audio_encoder import AudioEncoder

BLOCK = 32  # frames that are decoded together
AT_ONCE = 16  # blocks decoded at a time: memory stays bounded
POSE = 6  # pitch, yaw, roll (radians), x, y, z
LATENT = 64  # of the noise and of a style's vector
STYLES = 46


class ResidualConv(nn.Module):
    """Norm and ReLU before each of two convolutions, beside a projected shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int] = 1) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, stride, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.conv_skip = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_block(x) + self.conv_skip(x)


class Upsample(nn.Module):
    """Twice the frames by a transposed convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels, channels, (2, 1), (2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.upsample(x)


class ResUnet(nn.Module):
    """A U-Net over time × pose that halves time three times: (N, 1, 32, 6) -> the same shape, 0..1."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        w = width
        half = (2, 1)
        self.input_layer = nn.Sequential(
            nn.Conv2d(1, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, w, 3, padding=1)
        )
        self.input_skip = nn.Sequential(nn.Conv2d(1, w, 3, padding=1))
        self.residual_conv_1 = ResidualConv(w, 2 * w, half)
        self.residual_conv_2 = ResidualConv(2 * w, 4 * w, half)
        self.bridge = ResidualConv(4 * w, 8 * w, half)
        self.upsample_1, self.up_residual_conv1 = Upsample(8 * w), ResidualConv(12 * w, 4 * w)
        self.upsample_2, self.up_residual_conv2 = Upsample(4 * w), ResidualConv(6 * w, 2 * w)
        self.upsample_3, self.up_residual_conv3 = Upsample(2 * w), ResidualConv(3 * w, w)
        self.output_layer = nn.Sequential(nn.Conv2d(w, 1, 1), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        full = self.input_layer(x) + self.input_skip(x)
        half = self.residual_conv_1(full)
        quarter = self.residual_conv_2(half)
        x = self.upsample_1(self.bridge(quarter))
        x = self.upsample_2(self.up_residual_conv1(torch.cat([x, quarter], 1)))
        x = self.upsample_3(self.up_residual_conv2(torch.cat([x, half], 1)))
        return self.output_layer(self.up_residual_conv3(torch.cat([x, full], 1)))


class PoseDecoder(nn.Module):
    """One block: the source's pose, noise + style and audio embeddings into 32 pose differences."""

    def __init__(self, audio: int = 512, unet: int = 32, hidden: int = 128, styles: int = STYLES) -> None:
        super().__init__()
        self.classbias = nn.Parameter(torch.zeros(styles, LATENT))
        self.linear_audio = nn.Linear(audio, POSE)
        self.MLP = nn.ModuleDict(
            {"L0": nn.Linear(POSE + LATENT + BLOCK * POSE, hidden), "L1": nn.Linear(hidden, BLOCK * POSE)}
        )
        self.resunet = ResUnet(unet)
        self.pose_linear = nn.Linear(POSE, POSE)

    def forward(
        self, source: torch.Tensor, noise: torch.Tensor, style: int, heard: torch.Tensor
    ) -> torch.Tensor:
        """(N, 32, 6) from source (6,), noise (N, 64), a style's number and heard (N, 32, 6)."""
        source = source.expand(len(noise), -1)
        x = torch.cat([source, noise + self.classbias[style], heard.flatten(1)], dim=1)
        x = torch.sigmoid(self.MLP["L1"](F.relu(self.MLP["L0"](x))))
        x = self.resunet(x.view(-1, 1, BLOCK, POSE)).squeeze(1)
        return self.pose_linear(x)


class PoseVAE(nn.Module):
    """SadTalker section 3.3, the half that inference needs; its encoder belongs to training."""

    TRAINING_ONLY = ("netG.encoder.", "netD_motion.")

    def __init__(self, width: int = 32, unet: int = 32, hidden: int = 128, styles: int = STYLES) -> None:
        super().__init__()
        self.audio_encoder = nn.ModuleDict({"audio_encoder": AudioEncoder(width)})
        self.netG = nn.ModuleDict({"decoder": PoseDecoder(16 * width, unet, hidden, styles)})

    @property
    def decoder(self) -> PoseDecoder:
        decoder = self.netG["decoder"]
        assert isinstance(decoder, PoseDecoder)
        return decoder

    @classmethod
    def shaped_like(cls, state: Mapping[str, torch.Tensor]) -> PoseVAE:
        """A network with the widths of a state dict, not yet loaded."""
        return cls(
            state["audio_encoder.audio_encoder.0.conv_block.0.weight"].shape[0],
            state["netG.decoder.resunet.input_skip.0.weight"].shape[0],
            state["netG.decoder.MLP.L0.weight"].shape[0],
            state["netG.decoder.classbias"].shape[0],
        )

    @staticmethod
    def blocks(frames: int) -> int:
        """How many rows of noise `decode` takes for that many frames."""
        return -(-(frames - 1) // BLOCK)

    def listen(self, mel: torch.Tensor) -> torch.Tensor:
        """(T, 6): what the decoder hears of each window (T, 80, 16); each is heard by itself."""
        return self.decoder.linear_audio(self.audio_encoder["audio_encoder"](mel[:, None]).flatten(1))

    def decode(
        self, heard: torch.Tensor, source: torch.Tensor, style: int, noise: torch.Tensor
    ) -> torch.Tensor:
        """Pose differences (T, 6) to the source's pose; the first row is zero.

        heard: (T, 6) from `listen`; its first row belongs to the source. source: (6,). style: 0..45.
        noise: (`blocks(T)`, 64), standard normal.
        """
        still = heard.new_zeros(1, POSE)
        later = heard[1:]
        if len(later) == 0:
            return still
        whole, rest = divmod(len(later), BLOCK)
        blocks = list(later[: whole * BLOCK].unflatten(0, (whole, BLOCK)))
        if rest:  # the last 32 windows once more, of which only the rows that are new are kept
            last = later[-BLOCK:]
            blocks.append(torch.cat([later[:1].expand(BLOCK - len(last), -1), last]))
        together = zip(noise.split(AT_ONCE), torch.stack(blocks).split(AT_ONCE), strict=True)
        motion = torch.cat([self.decoder(source, drawn, style, part) for drawn, part in together])
        parts = [still, motion[:whole].flatten(0, 1)]
        if rest:
            parts.append(motion[-1, BLOCK - rest :])
        return torch.cat(parts)
