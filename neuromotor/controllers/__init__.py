"""Controllers: pure steps from observation, target and memory to a command."""

from neuromotor.controllers.altered_feedback import (
    FEEDBACK_CHANGES,
    AlteredFeedback,
    FeedbackChange,
)
from neuromotor.controllers.cells import (
    CELLS,
    Cell,
    ContextCell,
    FastWeightsCell,
    GatedCell,
    LayerWeights,
    LeakyCell,
    LSTMCell,
    MultiplicativeCell,
    Products,
    TanhCell,
    Tape,
    TensorCell,
)
from neuromotor.controllers.command_table import CommandTable
from neuromotor.controllers.constrained import ConstrainedNetwork
from neuromotor.controllers.controller import Controller
from neuromotor.controllers.feedforward import FeedforwardNetwork
from neuromotor.controllers.function import FunctionController
from neuromotor.controllers.gated_feedback import GatedFeedbackNetwork
from neuromotor.controllers.initializers import (
    INITIALIZERS,
    EchoState,
    Gaussian,
    Identity,
    Initializer,
    Orthogonal,
    Sparse,
    UniformFanIn,
    VariancePreserving,
)
from neuromotor.controllers.network import (
    SQUASHES,
    Network,
    NetworkWeights,
    RecurrentNetwork,
)
from neuromotor.controllers.perturbed import (
    PERTURBATIONS,
    NetworkPerturbation,
    PerturbedNetwork,
)
from neuromotor.controllers.policy_network import PolicyNetwork
from neuromotor.controllers.reservoir import Reservoir
from neuromotor.controllers.rnn import ContinuousTimeRNN
from neuromotor.extensions import Registry

__all__ = [
    # controllers
    "CONTROLLERS",
    "FEEDBACK_CHANGES",
    "AlteredFeedback",
    "CommandTable",
    "ConstrainedNetwork",
    "ContinuousTimeRNN",
    "Controller",
    "FeedbackChange",
    "FeedforwardNetwork",
    "FunctionController",
    "GatedFeedbackNetwork",
    "LayerWeights",
    "Network",
    "NetworkPerturbation",
    "NetworkWeights",
    "PERTURBATIONS",
    "PerturbedNetwork",
    "PolicyNetwork",
    "RecurrentNetwork",
    "Reservoir",
    "SQUASHES",
    # cells
    "CELLS",
    "Cell",
    "ContextCell",
    "FastWeightsCell",
    "GatedCell",
    "LSTMCell",
    "LeakyCell",
    "MultiplicativeCell",
    "Products",
    "TanhCell",
    "Tape",
    "TensorCell",
    # initializers
    "INITIALIZERS",
    "EchoState",
    "Gaussian",
    "Identity",
    "Initializer",
    "Orthogonal",
    "Sparse",
    "UniformFanIn",
    "VariancePreserving",
]

CONTROLLERS: Registry[Controller] = Registry(
    "controller",
    {
        "rnn": ContinuousTimeRNN(),
        "network": Network(),
        "gated": Network(layers=(50, 50), cell=GatedCell()),
        "lstm": Network(layers=(50, 50), cell=LSTMCell()),
        "irnn": Network(layers=(100,), cell=CELLS["rectified-linear"], initializer=Identity()),
        "constrained": ConstrainedNetwork(),
        "gated-feedback": GatedFeedbackNetwork(),
        "reservoir": Reservoir(),
        "feedforward": FeedforwardNetwork(),
        "policy": PolicyNetwork(),
        # Kalidindi et al. (2021), methods and published code: two layers without skips, whose units
        # leak with 20 ms, and muscles that only pull; NO-REC is without recurrence and leak.
        "kalidindi-2021": Network(
            layers=(500, 500),
            cell=LeakyCell(leak=(0.5,), leak_on="rate", noise_on="rate"),
            skip_inputs=False,
            squash="rectified",
            private_noise=0.03,
            initializer=UniformFanIn(),
        ),
        "kalidindi-2021-no-rec": ConstrainedNetwork(
            layers=(500, 500),
            cell=LeakyCell(leak=(1.0,), leak_on="rate", noise_on="rate"),
            excitatory=None,
            recurrence=False,
            skip_inputs=False,
            squash="rectified",
            private_noise=0.03,
            initializer=UniformFanIn(),
        ),
        "command-table": CommandTable(trials=64, steps=40),
    },
    members=("initial_parameters", "unpack", "step"),
)
