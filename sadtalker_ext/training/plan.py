"""How a network is trained, as one set of numbers: how long, how fast, from which seed, what is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from ..errors import TrainingError

Precision = Literal["no", "fp16", "bf16"]
MOST_EPOCHS, MOST_CLIPS = 1_000_000, 4096


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a training on the same clips comes to.

    epochs: times that every clip is seen. rate: learning rate at its highest. halve_every: epochs after which
    it halves, again and again; 0 never. warmup: steps over which it rises. optimiser: adam, or adamw with
    `weight_decay`. batch: clips of one step in each process; their gradients are averaged. clip_norm: length
    that gradients are cut to; 0 leaves them. precision: of the forward pass. keep: the weights that validate
    best, or the last ones. save_every: epochs between two saved states. log_every: steps between two lines.
    """

    epochs: int = 100
    rate: float = 1e-4
    halve_every: int = 0
    warmup: int = 0
    optimiser: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.01
    batch: int = 1
    clip_norm: float = 0.0
    precision: Precision = "no"
    seed: int = 0
    keep: Literal["best", "last"] = "best"
    save_every: int = 1
    log_every: int = 50

    def __post_init__(self) -> None:
        checks = (
            ("epochs", 1 <= self.epochs <= MOST_EPOCHS, f"1 to {MOST_EPOCHS}"),
            ("rate", 0 < self.rate < 1, "above 0 and below 1"),
            ("batch", 1 <= self.batch <= MOST_CLIPS, f"1 to {MOST_CLIPS}"),
            ("warmup", self.warmup >= 0, "0 or more"),
            ("halve_every", self.halve_every >= 0, "0 or more"),
            ("clip_norm", self.clip_norm >= 0, "0 or more"),
            ("weight_decay", self.weight_decay >= 0, "0 or more"),
            ("save_every", self.save_every >= 1, "1 or more"),
            ("log_every", self.log_every >= 1, "1 or more"),
            ("seed", 0 <= self.seed < 2**63, "0 or more"),
            ("precision", self.precision in ("no", "fp16", "bf16"), "no, fp16 or bf16"),
            ("optimiser", self.optimiser in ("adam", "adamw"), "adam or adamw"),
            ("keep", self.keep in ("best", "last"), "best or last"),
        )
        for name, good, allowed in checks:
            if not good:
                raise TrainingError(f"{name} must be {allowed}, not {getattr(self, name)}.")

    def rate_at(self, step: int, epoch: int) -> float:
        """The learning rate of a step; both count from 0."""
        rate = self.rate * 0.5 ** (epoch // self.halve_every if self.halve_every else 0)
        return rate * min(1.0, (step + 1) / self.warmup) if self.warmup else rate

    def differences(self, told: dict[str, Any]) -> list[str]:
        """In which fields another plan, as a dictionary, would lead elsewhere."""
        harmless = ("epochs", "save_every", "log_every", "keep")
        own = asdict(self)
        return [f.name for f in fields(self) if f.name not in harmless and told.get(f.name) != own[f.name]]
