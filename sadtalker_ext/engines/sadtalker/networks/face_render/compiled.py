"""The face render's large parts, compiled by torch for the machine at hand where it can be done."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .generator import Generator

Failed = Callable[[str], None]  # with a sentence


class Compiled(nn.Module):
    """A network that is compiled on its first call, and runs as it is where that fails.

    failed: told so, once. Every new shape of the input is compiled anew, so give it one.
    """

    def __init__(self, plain: nn.Module, failed: Failed) -> None:
        super().__init__()
        self.plain, self._failed = plain, failed
        # In a list, for as a part of this network it would hold every weight twice.
        self._quick: list[Callable[..., Any]] = [torch.compile(plain, dynamic=False, options=_options(plain))]

    def forward(self, *arguments: Any) -> Any:
        if self._quick:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of torch, about torch
                    return self._quick[0](*arguments)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as error:  # the compiler's, or for the lack of one: releases differ in its kind
                self._quick.clear()
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                self._failed(f"The face render could not be compiled here and was drawn without ({reason}).")
        return self.plain(*arguments)


def compile_parts(generator: Generator, failed: Failed) -> None:
    """Let torch compile the dense motion and, but on a CPU, the decoder, on their first frame. Changes the
    given generator.

    failed: told in a sentence where that cannot be; frames are then drawn without.
    """
    motion = generator.dense_motion_network
    motion.hourglass = Compiled(motion.hourglass, failed)  # type: ignore[assignment]
    if not _on_cpu(motion):  # there our own order of the decoder's work is quicker than the compiler's
        generator.decoder = Compiled(generator.decoder, failed)


def forget_compiled() -> None:
    """Let go of what was compiled, and of the weights inside."""
    torch._dynamo.reset()


def _options(network: nn.Module) -> dict[str, Any]:
    # Weights that are known not to change are laid out once as a CPU's kernels want them.
    return {"freezing": True} if _on_cpu(network) else {}


def _on_cpu(network: nn.Module) -> bool:
    return all(weight.device.type == "cpu" for weight in network.parameters())
