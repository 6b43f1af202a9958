"""Cells: what one layer of a network remembers, and how it changes at a step."""

from neuromotor.controllers.cells.cell import Cell, LayerWeights, Products, Tape
from neuromotor.controllers.cells.gru import GatedCell
from neuromotor.controllers.cells.tanh import TanhCell
from neuromotor.extensions import Registry

__all__ = ["CELLS", "Cell", "GatedCell", "LayerWeights", "Products", "Tape", "TanhCell"]

CELLS: Registry[Cell] = Registry(
    "cell",
    {"tanh": TanhCell(), "gated": GatedCell()},
    members=("gates", "memory", "step", "rates"),
)
