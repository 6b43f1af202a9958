"""neuromotor: a toolkit for motor neuroscience.

A plant moves, a task says what is wanted and what goes wrong, a controller decides, a closed loop
runs them and differentiates through them, an optimizer trains.
"""

from neuromotor import zoo
from neuromotor._version import __version__ as __version__
from neuromotor.closed_loop import ClosedLoop, Trajectory
from neuromotor.control import ILQG, ILQR, OnlineTrajectoryOptimization, Uncertainty
from neuromotor.controllers import (
    CommandTable,
    ConstrainedNetwork,
    ContinuousTimeRNN,
    EchoState,
    FeedforwardNetwork,
    GatedCell,
    GatedFeedbackNetwork,
    Gaussian,
    LeakyCell,
    LSTMCell,
    Network,
    Reservoir,
    Sparse,
    TanhCell,
)
from neuromotor.envs.registration import register_environments as _register_environments
from neuromotor.evaluation.bootstrap import Interval, bootstrap_interval
from neuromotor.evaluation.load_responses import LoadResponse, load_response
from neuromotor.evaluation.performance import Evaluation, Performance, assess, held_out, measure
from neuromotor.evaluation.references import Reference, reference_trajectories
from neuromotor.extensions import ExtensionError, register, use
from neuromotor.extensions.loading import load_announced as _load_announced
from neuromotor.optim import (
    LBFGS,
    Adam,
    AugmentedHessianFree,
    Budget,
    GradientDescent,
    HessianFree,
    KroneckerAdam,
    KroneckerDescent,
    KroneckerHessianFree,
    KroneckerLBFGS,
    KrylovSearch,
    KrylovSubspaceDescent,
    NesterovGradient,
    NonlinearCG,
    Result,
    Snapshot,
    TruncatedNewton,
)
from neuromotor.plants import (
    HUMAN,
    MONKEY,
    MONKEY_PUBLISHED,
    RK4,
    ArmParameters,
    Euler,
    JointLimits,
    LearnedPlant,
    MujocoPlant,
    MuscleArm,
    PointMass,
    SemiImplicitEuler,
    SpatialArm,
    TwoJointArm,
    UnreachableError,
)
from neuromotor.problems import PROBLEMS, SequenceObjective
from neuromotor.storage.components import SettingsError, with_times
from neuromotor.storage.snapshots import load_snapshot, save_snapshot
from neuromotor.tasks import (
    DDN,
    CenterOut,
    Channel,
    CuedReach,
    ForceField,
    Friction,
    InstructedDelay,
    Interception,
    MemoryReach,
    Penalties,
    Penalty,
    Postural,
    PostureLoads,
    PulsedReach,
    QuadraticCost,
    ReachHold,
    ReachSequence,
    Senses,
    Swing,
    TargetJump,
    Tracking,
    Trials,
)
from neuromotor.training import distributed
from neuromotor.training.comparison import CompareSettings, Comparison, compare
from neuromotor.training.imitation import imitate
from neuromotor.training.learned import PlantSampling, learn_plant
from neuromotor.training.problems import solve
from neuromotor.training.single import train
from neuromotor.training.teacher import ILQGTeacher
from neuromotor.zoo.saved_controller import (
    CheckpointError,
    SavedController,
    load_controller,
    save_controller,
)

__all__ = [
    # plants
    "HUMAN",
    "MONKEY",
    "MONKEY_PUBLISHED",
    "RK4",
    "ArmParameters",
    "Euler",
    "JointLimits",
    "LearnedPlant",
    "MujocoPlant",
    "PointMass",
    "SemiImplicitEuler",
    "MuscleArm",
    "SpatialArm",
    "TwoJointArm",
    "UnreachableError",
    # tasks
    "DDN",
    "CenterOut",
    "Channel",
    "CuedReach",
    "ForceField",
    "Friction",
    "InstructedDelay",
    "Interception",
    "MemoryReach",
    "Penalties",
    "Penalty",
    "Postural",
    "PostureLoads",
    "PulsedReach",
    "QuadraticCost",
    "ReachHold",
    "ReachSequence",
    "Senses",
    "Swing",
    "TargetJump",
    "Tracking",
    "Trials",
    # controllers
    "CommandTable",
    "ConstrainedNetwork",
    "ContinuousTimeRNN",
    "EchoState",
    "FeedforwardNetwork",
    "GatedCell",
    "GatedFeedbackNetwork",
    "Gaussian",
    "LSTMCell",
    "LeakyCell",
    "Network",
    "Reservoir",
    "Sparse",
    "TanhCell",
    # closed loop, training, comparison
    "ClosedLoop",
    "CompareSettings",
    "Comparison",
    "Evaluation",
    "ILQGTeacher",
    "Interval",
    "LoadResponse",
    "Performance",
    "Trajectory",
    "assess",
    "bootstrap_interval",
    "compare",
    "distributed",
    "PlantSampling",
    "held_out",
    "imitate",
    "learn_plant",
    "load_response",
    "measure",
    "train",
    # problems of sequences
    "PROBLEMS",
    "SequenceObjective",
    "solve",
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
    "KroneckerHessianFree",
    "KroneckerLBFGS",
    "KrylovSearch",
    "KrylovSubspaceDescent",
    "NesterovGradient",
    "NonlinearCG",
    "Result",
    "Snapshot",
    "TruncatedNewton",
    # components of your own
    "ExtensionError",
    "register",
    "use",
    # files and settings
    "CheckpointError",
    "SavedController",
    "SettingsError",
    "load_controller",
    "load_snapshot",
    "save_controller",
    "save_snapshot",
    "with_times",
    "zoo",
]

_register_environments()
_load_announced(strict=False)
