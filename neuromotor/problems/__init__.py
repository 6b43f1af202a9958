"""Problems of memory without a limb: sequences with inputs that are given and outputs wanted."""

from neuromotor.extensions import Registry
from neuromotor.problems.associations import AssociativeRetrieval
from neuromotor.problems.balls import BouncingBalls
from neuromotor.problems.engines import ENGINES, Engine, FullBPTT, RealTime, TruncatedBPTT
from neuromotor.problems.long_memory import (
    MarkedNumbers,
    Memorization,
    RandomPermutation,
    TemporalOrder,
)
from neuromotor.problems.losses import LOSSES, Loss
from neuromotor.problems.objective import SequenceObjective, fitted, misclassified
from neuromotor.problems.problem import Problem, Sequences
from neuromotor.problems.readout import ridge_readout

__all__ = [
    # problems
    "PROBLEMS",
    "AssociativeRetrieval",
    "BouncingBalls",
    "MarkedNumbers",
    "Memorization",
    "Problem",
    "RandomPermutation",
    "Sequences",
    "TemporalOrder",
    # ways to the gradient
    "ENGINES",
    "Engine",
    "FullBPTT",
    "RealTime",
    "TruncatedBPTT",
    # what trains on them
    "LOSSES",
    "Loss",
    "SequenceObjective",
    "fitted",
    "misclassified",
    "ridge_readout",
]

PROBLEMS: Registry[Problem] = Registry(
    "problem",
    {
        "addition": MarkedNumbers("addition"),
        "multiplication": MarkedNumbers("multiplication"),
        "xor": MarkedNumbers("xor"),
        "order-2": TemporalOrder(2),
        "order-3": TemporalOrder(3),
        "permutation": RandomPermutation(),
        "memory-5bit": Memorization(symbols=2, length=5),
        "memory-20bit": Memorization(symbols=5, length=10),
        "retrieval": AssociativeRetrieval(),
        "balls": BouncingBalls(),
    },
    members=("sequences", "loss", "lag", "input_size", "output_size"),
)
