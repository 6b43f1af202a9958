"""Cells: what one layer of a network remembers, and how it changes at a step."""

from neuromotor.controllers.cells.cell import Cell, LayerWeights, Products, Tape
from neuromotor.controllers.cells.gru import GatedCell
from neuromotor.controllers.cells.tanh import TanhCell

__all__ = ["CELLS", "Cell", "GatedCell", "LayerWeights", "Products", "Tape", "TanhCell"]

CELLS: dict[str, Cell] = {
    "tanh": TanhCell(),
    "gated": GatedCell(),
}
