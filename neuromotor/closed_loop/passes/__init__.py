"""Hand-derived passes over a closed loop; what they share and their notation are in `layout.py`."""

from neuromotor.closed_loop.passes.adjoint import run_adjoint
from neuromotor.closed_loop.passes.forward import jacobians, run_forward
from neuromotor.closed_loop.passes.kronecker import Place, drawn_residuals, kronecker_factors
from neuromotor.closed_loop.passes.layout import Forward, Layout, Network, quiet_floats
from neuromotor.closed_loop.passes.tangent import run_tangent

__all__ = [
    "Forward",
    "Layout",
    "Network",
    "Place",
    "drawn_residuals",
    "jacobians",
    "kronecker_factors",
    "quiet_floats",
    "run_adjoint",
    "run_forward",
    "run_tangent",
]
