"""neuromotor: a toolkit for motor neuroscience.

A plant moves, a task says what is wanted and what goes wrong, a controller decides, a closed loop
runs them and differentiates through them, an optimizer trains.
"""

from neuromotor import zoo
from neuromotor._version import __version__ as __version__
from neuromotor.checkpoint import CheckpointError, SavedController, load_controller, save_controller
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.comparison import Comparison, compare
from neuromotor.config import SettingsError
from neuromotor.controllers import CommandTable, ContinuousTimeRNN, EchoState, Gaussian, Sparse
from neuromotor.envs.registration import register_environments as _register_environments
from neuromotor.evaluation import Evaluation, assess, held_out
from neuromotor.intervals import Interval, bootstrap_interval
from neuromotor.optim import (
    ILQG,
    ILQR,
    LBFGS,
    Adam,
    AugmentedHessianFree,
    Budget,
    GradientDescent,
    HessianFree,
    KroneckerAdam,
    KroneckerDescent,
    KroneckerLBFGS,
    KrylovSearch,
    KrylovSubspaceDescent,
    NonlinearCG,
    OnlineTrajectoryOptimization,
    Result,
    Snapshot,
    TruncatedNewton,
    Uncertainty,
)
from neuromotor.plants import (
    HUMAN,
    MONKEY,
    MONKEY_PUBLISHED,
    RK4,
    ArmParameters,
    Euler,
    JointLimits,
    PointMass,
    SemiImplicitEuler,
    TwoJointArm,
    UnreachableError,
)
from neuromotor.references import Reference, reference_trajectories
from neuromotor.responses import LoadResponse, load_response
from neuromotor.snapshots import load_snapshot, save_snapshot
from neuromotor.tasks import (
    DDN,
    CenterOut,
    ForceField,
    InstructedDelay,
    Postural,
    PulsedReach,
    QuadraticCost,
    TargetJump,
    Trials,
)
from neuromotor.training import Performance, measure, train

__all__ = [
    # plants
    "HUMAN",
    "MONKEY",
    "MONKEY_PUBLISHED",
    "RK4",
    "ArmParameters",
    "Euler",
    "JointLimits",
    "PointMass",
    "SemiImplicitEuler",
    "TwoJointArm",
    "UnreachableError",
    # tasks
    "DDN",
    "CenterOut",
    "ForceField",
    "InstructedDelay",
    "Postural",
    "PulsedReach",
    "QuadraticCost",
    "TargetJump",
    "Trials",
    # controllers
    "CommandTable",
    "ContinuousTimeRNN",
    "EchoState",
    "Gaussian",
    "Sparse",
    # closed loop, training, comparison
    "ClosedLoop",
    "Comparison",
    "Evaluation",
    "Interval",
    "LoadResponse",
    "Performance",
    "Trajectory",
    "assess",
    "bootstrap_interval",
    "compare",
    "held_out",
    "load_response",
    "measure",
    "train",
    # references
    "ILQG",
    "ILQR",
    "OnlineTrajectoryOptimization",
    "Reference",
    "Uncertainty",
    "reference_trajectories",
    # optimizers
    "LBFGS",
    "Adam",
    "AugmentedHessianFree",
    "Budget",
    "GradientDescent",
    "HessianFree",
    "KroneckerAdam",
    "KroneckerDescent",
    "KroneckerLBFGS",
    "KrylovSearch",
    "KrylovSubspaceDescent",
    "NonlinearCG",
    "Result",
    "Snapshot",
    "TruncatedNewton",
    # files and settings
    "CheckpointError",
    "SavedController",
    "SettingsError",
    "load_controller",
    "load_snapshot",
    "save_controller",
    "save_snapshot",
    "zoo",
]

_register_environments()
