"""What compiled loops are made of: functions for every kind of number, products, and the compiler.

Nothing here imports numba before a loop is compiled; `availability` says whether it can be.
"""

from neuromotor.compiled.availability import availability
from neuromotor.compiled.functions import component, hyperbolic_tangent, sine_and_cosine

__all__ = ["availability", "component", "hyperbolic_tangent", "sine_and_cosine"]
