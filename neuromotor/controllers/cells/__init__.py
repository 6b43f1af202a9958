"""Cells: what one layer of a network remembers, and how it changes at a step."""

from neuromotor.controllers.cells.cell import Cell, LayerWeights, LinearMap, Products, Tape
from neuromotor.controllers.cells.context import ContextCell
from neuromotor.controllers.cells.fast_weights import FastWeightsCell
from neuromotor.controllers.cells.gru import GatedCell
from neuromotor.controllers.cells.leaky import LeakyCell
from neuromotor.controllers.cells.lstm import LSTMCell
from neuromotor.controllers.cells.multiplicative import MultiplicativeCell
from neuromotor.controllers.cells.tanh import TanhCell
from neuromotor.controllers.cells.tensor import TensorCell
from neuromotor.extensions import Registry

__all__ = [
    "CELLS",
    "Cell",
    "ContextCell",
    "FastWeightsCell",
    "GatedCell",
    "LSTMCell",
    "LayerWeights",
    "LeakyCell",
    "MultiplicativeCell",
    "LinearMap",
    "Products",
    "TanhCell",
    "Tape",
    "TensorCell",
]

CELLS: Registry[Cell] = Registry(
    "cell",
    {
        "tanh": TanhCell(),
        "gated": GatedCell(),
        "gru": GatedCell(reset_after=True),
        "leaky": LeakyCell(leak=(0.5,), leak_on="rate"),
        "logistic": LeakyCell(("logistic",)),
        "rectified-linear": LeakyCell(("rectified",)),
        "threshold-linear": LeakyCell(("rectified",), threshold=0.1),
        "lstm": LSTMCell(),
        "lstm-1997": LSTMCell(forget=False),
        "context": ContextCell(),
        "multiplicative": MultiplicativeCell(),
        "tensor": TensorCell(),
        "fast-weights": FastWeightsCell(),
    },
    members=("gates", "memory", "step", "rates"),
)
