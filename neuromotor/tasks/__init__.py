"""Tasks: batches of trials and what they cost."""

from neuromotor.extensions import Registry
from neuromotor.plants import SpatialArm
from neuromotor.tasks.center_out import CenterOut
from neuromotor.tasks.cost import Expansion, QuadraticCost
from neuromotor.tasks.cursor_cost import CursorCost
from neuromotor.tasks.cursor_reach import CursorReach
from neuromotor.tasks.ddn import DDN
from neuromotor.tasks.fields import FIELDS, CurlField, DivergentField, HandField, LinearField
from neuromotor.tasks.force_field import ForceField
from neuromotor.tasks.friction import Friction
from neuromotor.tasks.instructed_delay import InstructedDelay
from neuromotor.tasks.interception import Interception
from neuromotor.tasks.memory_reach import CuedReach, MemoryReach
from neuromotor.tasks.penalties import PENALTIES, Penalties, Penalty
from neuromotor.tasks.postural import CALIBRATED_FORCE_N, Postural
from neuromotor.tasks.posture_loads import PostureLoads
from neuromotor.tasks.reach_experiments import PulsedReach, ReachExperiment, TargetJump, with_plant
from neuromotor.tasks.reach_hold import ReachHold
from neuromotor.tasks.senses import SENSES, Channel, Senses, SensesInUse
from neuromotor.tasks.sequence import ReachSequence
from neuromotor.tasks.swing import Swing
from neuromotor.tasks.task import Task
from neuromotor.tasks.tracking import Tracking, figure_eight
from neuromotor.tasks.trials import Trials

__all__ = [
    "DDN",
    "FIELDS",
    "PENALTIES",
    "SENSES",
    "TASKS",
    "CenterOut",
    "Channel",
    "CuedReach",
    "CurlField",
    "CursorCost",
    "CursorReach",
    "DivergentField",
    "Expansion",
    "ForceField",
    "Friction",
    "HandField",
    "InstructedDelay",
    "Interception",
    "LinearField",
    "MemoryReach",
    "Penalties",
    "Penalty",
    "Postural",
    "PostureLoads",
    "PulsedReach",
    "QuadraticCost",
    "ReachExperiment",
    "Senses",
    "SensesInUse",
    "ReachHold",
    "ReachSequence",
    "Swing",
    "TargetJump",
    "Task",
    "Tracking",
    "Trials",
    "with_plant",
]

TASKS: Registry[Task] = Registry(
    "task",
    {
        "center-out": CenterOut(),
        "postural": Postural(),
        # Under its load optimal feedback control has the loss that the thesis reports.
        "postural-calibrated": Postural(load_size=CALIBRATED_FORCE_N),
        "ddn": DDN(),
        # The thesis's other two settings (Sutskever 2013, section 6.7.3): the delay alone, and with
        # the disturbance, which is what its "robust RNN" was trained on.
        "ddn-delay": DDN(disturbance_nm=0.0, noise=0.0),
        "ddn-robust": DDN(noise=0.0),
        "target-jump": TargetJump(),
        "pulsed-reach": PulsedReach(),
        "force-field": ForceField(),
        "instructed-delay": InstructedDelay(),
        "memory-reach": MemoryReach(),
        "cued-reach": CuedReach(),
        # Radius and time are ours: of usual reaches of people.
        "spatial-reach": CenterOut(
            plant=SpatialArm(), radius_m=0.1, directions=32, steps=60, targets="sphere"
        ),
        "swing": Swing(),
        "interception": Interception(),
        "tracking": Tracking(),
        "figure-eight": figure_eight(),
        "sequence": ReachSequence(),
        "friction": Friction(),
        "posture-loads": PostureLoads(),
        "reach-hold": ReachHold(),
        "cursor-reach": CursorReach(),
    },
    members=("plant", "cost", "trials"),
)
