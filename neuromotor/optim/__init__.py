"""Optimizers that share one `Objective` interface; none of them knows a plant or a task."""

from neuromotor.extensions import Registry
from neuromotor.optim.augmented_hessian_free import AugmentedHessianFree
from neuromotor.optim.first_order import MOMENTUM_SCHEDULE, Adam, GradientDescent
from neuromotor.optim.hessian_free import HessianFree
from neuromotor.optim.kronecker_adam import KroneckerAdam
from neuromotor.optim.kronecker_descent import KroneckerDescent
from neuromotor.optim.kronecker_factors import KroneckerPreconditioner
from neuromotor.optim.kronecker_hessian_free import KroneckerHessianFree
from neuromotor.optim.kronecker_lbfgs import KroneckerLBFGS
from neuromotor.optim.krylov import CGResult, augmented_directions, conjugate_gradient, martens_stop
from neuromotor.optim.krylov_subspace import KrylovSearch, KrylovSubspaceDescent, krylov_basis
from neuromotor.optim.lbfgs import LBFGS
from neuromotor.optim.line_search import Backtracking, SearchPoint, StrongWolfe, cubic_minimum
from neuromotor.optim.modules import ModuleObjective, ModuleTrainer
from neuromotor.optim.nesterov import NesterovGradient
from neuromotor.optim.nonlinear_cg import NonlinearCG
from neuromotor.optim.objective import CountedObjective, Linearization, Objective
from neuromotor.optim.penalties import Penalized
from neuromotor.optim.result import Budget, Counts, HistoryPoint, Progress, Result
from neuromotor.optim.run import Callback, Optimizer, Run
from neuromotor.optim.state import Snapshot
from neuromotor.optim.truncated_newton import TruncatedNewton
from neuromotor.optim.wrappers import MixedPrecision, Resampled

__all__ = [
    # optimizers
    "LBFGS",
    "MOMENTUM_SCHEDULE",
    "OPTIMIZERS",
    "Adam",
    "AugmentedHessianFree",
    "GradientDescent",
    "HessianFree",
    "KroneckerAdam",
    "KroneckerDescent",
    "KroneckerHessianFree",
    "KroneckerLBFGS",
    "KrylovSearch",
    "KrylovSubspaceDescent",
    "NesterovGradient",
    "NonlinearCG",
    "Optimizer",
    "TruncatedNewton",
    # what they work on and return
    "Budget",
    "Callback",
    "CountedObjective",
    "Counts",
    "HistoryPoint",
    "Linearization",
    "MixedPrecision",
    "ModuleObjective",
    "ModuleTrainer",
    "Objective",
    "Progress",
    "Penalized",
    "Resampled",
    "Result",
    "Run",
    "Snapshot",
    # pieces that they share
    "Backtracking",
    "CGResult",
    "KroneckerPreconditioner",
    "SearchPoint",
    "StrongWolfe",
    "augmented_directions",
    "conjugate_gradient",
    "cubic_minimum",
    "krylov_basis",
    "martens_stop",
]

# A run's settings have a table for each optimizer beside these, so that none can be called so.
_SETTINGS = (
    *("task", "plant", "controller", "optimizer", "optimizers", "budget", "seconds", "seed"),
    *("seeds", "held_out", "references", "refresh", "products", "dtype", "device", "threads"),
    *("start", "ilqr", "others", "all", "format_version", "needs", "use", "teacher"),
    *("antithetic", "expected_noise", "grow", "l2", "norm_preserving"),
)

# The rates and bounds of the first-order methods were chosen on center-out with the network of the
# thesis: 3 to 6 rates times 2 to 4 bounds for each method, 1,200 calls, random seed 0; the better
# settings were also run on random seeds 1 and 2.
OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    {
        "lbfgs": LBFGS(),
        "gd": GradientDescent(learning_rate=1.0, clip_norm=0.1),
        "momentum": GradientDescent(learning_rate=0.1, momentum_max=0.99, clip_norm=0.1),
        "nag": GradientDescent(learning_rate=0.1, momentum_max=0.99, nesterov=True, clip_norm=0.03),
        "nesterov": NesterovGradient(),
        "adam": Adam(),
        "cg": NonlinearCG(),
        "pcg": NonlinearCG(pairs=10),
        "hf": HessianFree(),
        "ahf": AugmentedHessianFree(),
        "ksd": KrylovSubspaceDescent(),
        "krylov": KrylovSearch(),
        "newton": TruncatedNewton(),
        "kron-lbfgs": KroneckerLBFGS(),
        "kron-descent": KroneckerDescent(),
        "kron-adam": KroneckerAdam(),
        "kron-hf": KroneckerHessianFree(),
    },
    members=("minimize",),
    reserved=_SETTINGS,
)
