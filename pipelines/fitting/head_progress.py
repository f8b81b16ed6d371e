"""Tracks the best epoch of each head of a bank, lowers its learning rate on plateaus, and stops it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from models.arrays import Doubles
from models.bank import Bank
from pipelines.fitting.schedule import LEAST_GAIN
from pipelines.runs.training_records import HeadTrial

PLATEAU_EPOCHS = 3  # epochs without a better validation loss before a head's learning rate is divided by 10
NUM_DIVISIONS = 2  # divisions before a head stops


class HeadProgress:
    """The best epoch so far of each head of a bank, or of several banks of the same heads that are judged together.

    Attributes:
        loss: (heads,) least validation log-loss, nats; infinite before the first finite one.
        accuracy: (heads,) validation accuracy of that epoch, in [0, 1].
        best_epoch: (heads,) that epoch, from 0; -1 before the first.
        states: bank by bank, weights of that epoch as `Bank.state` returns them.
    """

    def __init__(self, *banks: Bank) -> None:
        """Begin before the first epoch.

        Args:
            banks: with the same candidates, at least one; from now on they share their rates.
        """
        self._banks, self._candidates, self._rates = banks, banks[0].candidates, banks[0].rates
        for bank in banks:
            bank.rates = self._rates
        count = len(self._candidates)
        self.loss = np.full(count, np.inf)
        self.accuracy = np.zeros(count)
        self.best_epoch = np.full(count, -1)
        self.states = [bank.state() for bank in banks]
        self._epochs_since_best = np.zeros(count, int)
        self._divisions = np.zeros(count, int)

    @property
    def num_learning(self) -> int:
        """How many heads have not stopped."""
        return int((self._rates > 0).sum())

    @property
    def best(self) -> int:
        """The head with the least validation loss so far."""
        return int(np.argmin(self.loss))

    def record(self, epoch: int, loss: Doubles, accuracy: Doubles) -> None:
        """Record an epoch, and lower the learning rates of the heads that have not improved for a while.

        Args:
            epoch: from 0.
            loss: (heads,) validation log-loss, nats.
            accuracy: (heads,) validation accuracy, in [0, 1].
        """
        # A loss that is not finite never compares as less: such a head keeps its last finite epoch.
        is_better = (loss < self.loss - LEAST_GAIN) & (self._rates > 0)
        if is_better.any():
            for state, bank in zip(self.states, self._banks, strict=True):
                for best, now in zip(state, bank.state(), strict=True):
                    best[is_better] = now[is_better]
            self.loss[is_better], self.accuracy[is_better] = loss[is_better], accuracy[is_better]
            self.best_epoch[is_better] = epoch
        self._epochs_since_best = np.where(is_better, 0, self._epochs_since_best + 1)
        is_plateau = self._epochs_since_best >= PLATEAU_EPOCHS
        self._epochs_since_best[is_plateau] = 0
        self._divisions[is_plateau] += 1
        self._rates[is_plateau] /= 10
        self._rates[self._divisions > NUM_DIVISIONS] = 0.0

    def trials(self) -> tuple[HeadTrial, ...]:
        """One record a head, the least validation loss first."""
        return tuple(self._trial(int(number)) for number in np.argsort(self.loss, kind="stable"))

    def _trial(self, number: int) -> HeadTrial:
        loss = float(self.loss[number])
        return HeadTrial(
            number=number,
            **asdict(self._candidates[number]),
            best_epoch=int(self.best_epoch[number]) + 1,
            validation_loss=round(loss, 5) if np.isfinite(loss) else None,
            validation_accuracy=round(float(self.accuracy[number]), 5),
        )
