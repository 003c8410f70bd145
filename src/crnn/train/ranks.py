"""Several processes that train one network together: who they are, and what they tell each other.

Each is given its part of every batch. So that they learn what one process learns from the whole, the loss of each part
counts by what its mean is over, batch norm pools its statistics, and what is said of the validation part is gathered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from crnn.errors import CrnnError, SettingsError, TrainingError
from crnn.layers import BatchNorm
from crnn.types import Batch


def first() -> bool:
    """Whether this process is the first of those that were started together, as Lightning, torchrun and SLURM number
    them: only it writes and speaks."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def check_started(devices: int, nodes: int) -> None:
    """Raises ``SettingsError`` where as many processes as the settings say are not there and cannot be started."""
    count = devices * nodes
    there = int(os.environ.get("WORLD_SIZE", count)) if "TORCHELASTIC_RUN_ID" in os.environ else count
    if there != count:
        raise SettingsError(
            f"torchrun started {there} processes, train.devices and train.nodes ask for {devices} on {nodes} machines",
            expected="as many",
            do="Write: torchrun --nproc-per-node DEVICES --nnodes NODES ... --devices DEVICES --nodes NODES",
        )
    if devices > 1 and "LOCAL_RANK" not in os.environ and not Path(sys.argv[0]).is_file():
        raise SettingsError(
            f"train.devices is {devices}, in a notebook or a line of code",
            expected="a program that can be started once more for each device",
            do="Start crnn train, a script of your own, or torchrun.",
        )


class ToldByAll(TrainingError):
    """A mistake that one process found and all know of; the first tells it."""


class Ranks:
    """The processes, once they are connected."""

    def __init__(self, device: torch.device) -> None:
        self.count, self.number = distributed.get_world_size(), distributed.get_rank()
        self.device = device
        self.weight = 1.0
        """Whether the batch that the network sees now counts in the statistics of batch norm: 1, or 0 for a copy."""

    def connect(self, net: nn.Module) -> None:
        """Let the batch norms of ``net`` pool their statistics."""
        for module in net.modules():
            if isinstance(module, BatchNorm):
                module.ranks = self

    def gather(self, x: Tensor) -> Tensor:
        """``x`` of each process ``(processes, *shape)``."""
        parts = [torch.empty_like(x) for _ in range(self.count)]
        distributed.all_gather(parts, x.contiguous())
        return torch.stack(parts)

    def sum(self, x: Tensor) -> Tensor:
        """The sum over the processes."""
        x = x.clone()
        distributed.all_reduce(x)
        return x

    def objects(self, value: Any) -> list[Any]:
        """``value`` of each process, whatever it is."""
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def level(self, batches: Sequence[Batch], weights: Sequence[float]) -> tuple[list[Batch], list[float], int]:
        """``batches`` and their shares of the loss of all processes together; and how many samples these have.

        All get the same number of batches, so that whoever waits for the others in batch norm meets them: who has fewer
        (nothing of its part could be read, pictures of fewer sizes) gets copies of others, whose share is 0.
        """
        own = [len(batches), sum(map(len, batches)), sum(weights)]
        table = self.gather(torch.tensor(own, dtype=torch.float64, device=self.device))
        counts, total = table[:, 0].int().tolist(), float(table[:, 2].sum())
        given = list(batches)
        if 0 in counts and max(counts):
            donor = next(i for i, n in enumerate(counts) if n)
            copy = self.objects(given[0].to("cpu") if self.number == donor else None)[donor]
            given = given or [copy.to(self.device)]
        given += [given[-1]] * (max(counts) - len(given))
        shares = [w / total if total else 0.0 for w in weights] + [0.0] * (max(counts) - len(batches))
        return given, shares, int(table[:, 1].sum())

    def agree(self, loss: Tensor, problem: CrnnError | None) -> Tensor:
        """The sum of the losses of all; raises ``ToldByAll`` in all processes if one has a problem."""
        both = torch.stack([loss.detach().double(), loss.new_tensor(float(problem is not None)).double()])
        total, problems = self.sum(both).unbind()
        if problems:
            found: CrnnError = next(p for p in self.objects(problem) if p is not None)
            raise ToldByAll(found.given, expected=found.expected, do=found.do, file=found.file)
        return total


def lost(error: Exception) -> bool:
    """Whether ``error`` says that another process has gone."""
    said = str(error).lower()
    return isinstance(error, distributed.DistError) or any(
        word in said for word in ("connection closed by peer", "connection reset", "broken pipe", "gloo", "nccl")
    )
