"""All that a checkpoint of the training holds, as tensors by name, and back again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from likeness.generators.checkpoints import load_checkpoint
from likeness.generators.stylegan3.adaptive import Adaptive, Strength
from likeness.generators.stylegan3.discriminator import Discriminator
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.loss import adam_settings
from likeness.generators.stylegan3.plan import NetworkSettings
from likeness.generators.stylegan3.presets import TrainingSettings


class TrainingState:
    """Networks, running mean, optimisers and the strength of the transforms."""

    def __init__(
        self,
        network: NetworkSettings,
        training: TrainingSettings,
        ada: Adaptive | None,
        seed: int,
        device: torch.device,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = Generator(network).to(device).train()
            self.discriminator = Discriminator(network).to(device).train()
        self.average = copy.deepcopy(self.generator).requires_grad_(False)  # noqa: FBT003
        self.generator_optimizer = torch.optim.Adam(
            self.generator.parameters(), **adam_settings(training.generator_rate)
        )
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(),
            **adam_settings(training.discriminator_rate, interval=training.r1_interval),
        )
        self.strength = Strength() if ada is None else ada.strength()

    def _networks(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
        }

    def _optimizers(self) -> dict[str, Any]:
        return {
            "optimizer_generator": self.generator_optimizer,
            "optimizer_discriminator": self.discriminator_optimizer,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the weights and the moments of the optimisers, by names of a checkpoint."""
        named: dict[str, torch.Tensor] = {}
        for whose, network in self._networks().items():
            named |= {f"{whose}/{name}": one for name, one in network.state_dict().items()}
        for whose, optimizer in self._optimizers().items():
            for index, values in optimizer.state_dict()["state"].items():
                named |= {f"{whose}/{index}/{name}": one for name, one in values.items()}
        return named

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        found = load_checkpoint(path)
        owned: dict[str, dict[str, torch.Tensor]] = {}
        for name, values in found.tensors.items():
            whose, _, rest = name.partition("/")
            owned.setdefault(whose, {})[rest] = values
        for whose, network in self._networks().items():
            network.load_state_dict(owned[whose])
        for whose, optimizer in self._optimizers().items():
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for name, values in owned[whose].items():
                index, what = name.split("/")
                moments.setdefault(int(index), {})[what] = values
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.strength = Strength(**found.record["strength"])
