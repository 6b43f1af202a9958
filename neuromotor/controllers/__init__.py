"""Controllers: pure steps from observation, target and memory to a command."""

from neuromotor.controllers.command_table import CommandTable
from neuromotor.controllers.controller import Controller
from neuromotor.controllers.initializers import (
    INITIALIZERS,
    EchoState,
    Gaussian,
    Initializer,
    Sparse,
)
from neuromotor.controllers.rnn import ContinuousTimeRNN, LayerWeights, NetworkWeights

__all__ = [
    # controllers
    "CONTROLLERS",
    "CommandTable",
    "ContinuousTimeRNN",
    "Controller",
    "LayerWeights",
    "NetworkWeights",
    # initializers
    "INITIALIZERS",
    "EchoState",
    "Gaussian",
    "Initializer",
    "Sparse",
]

CONTROLLERS: dict[str, Controller] = {
    "rnn": ContinuousTimeRNN(),
    "command-table": CommandTable(trials=64, steps=40),
}
