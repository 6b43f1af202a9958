"""Environments of MuJoCo for tests: an arm with known equations, and what cannot be a plant."""

from __future__ import annotations

import gymnasium
import mujoco
import numpy as np

from neuromotor.plants import MONKEY_PUBLISHED

STEP_S = 0.005
ARM = """
<mujoco>
  <option gravity="0 0 0" timestep="{step}"/>
  <worldbody>
    <body name="upper arm">
      <joint name="shoulder" type="hinge" axis="0 0 1"/>
      <inertial pos="{p.center_1} 0 0" mass="{p.mass_1}"
                diaginertia="{p.inertia_1} {p.inertia_1} {p.inertia_1}"/>
      <body name="forearm" pos="{p.length_1} 0 0">
        <joint name="elbow" type="hinge" axis="0 0 1"/>
        <inertial pos="{p.center_2} 0 0" mass="{p.mass_2}"
                  diaginertia="{p.inertia_2} {p.inertia_2} {p.inertia_2}"/>
        <body name="hand" pos="{p.length_2} 0 0">
          <inertial pos="0 0 0" mass="1e-12" diaginertia="1e-14 1e-14 1e-14"/>
        </body>
      </body>
    </body>
    <body name="goal">{goal}<geom size="0.01" mass="1"/></body>
  </worldbody>
  <actuator><motor joint="shoulder" gear="{gear}"/><motor joint="elbow" gear="{gear}"/></actuator>
</mujoco>
"""
SLIDE = '<joint name="goal" type="slide" axis="1 0 0"/>'


class Arm(gymnasium.Env):
    """The arm `MONKEY_PUBLISHED` and a goal that never moves; two steps of MuJoCo a step."""

    goal, gear, noise = SLIDE, 2.0, 0.0

    def __init__(self):
        text = ARM.format(p=MONKEY_PUBLISHED, goal=self.goal, gear=self.gear, step=STEP_S)
        self.model = mujoco.MjModel.from_xml_string(text)
        self.data = mujoco.MjData(self.model)
        self.init_qpos, self.init_qvel = self.data.qpos.copy(), self.data.qvel.copy()
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.model.nq,), np.float64)
        self.dt = 2 * STEP_S

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.set_state(self.init_qpos, self.init_qvel)
        return self.data.qpos.copy(), {}

    def set_state(self, position, velocity):
        self.data.qpos[:], self.data.qvel[:] = position, velocity
        mujoco.mj_forward(self.model, self.data)

    def step(self, action):
        self.data.ctrl[:] = action + self.noise * self.np_random.normal(size=2)
        mujoco.mj_step(self.model, self.data, nstep=2)
        return self.data.qpos.copy(), 0.0, False, False, {}


class NoisyArm(Arm):
    noise = 0.1


class FreeGoal(Arm):
    goal = "<freejoint/>"


class Idle(Arm):
    gear = 0.0


for name, kind in {"Arm": Arm, "NoisyArm": NoisyArm, "FreeGoal": FreeGoal, "Idle": Idle}.items():
    gymnasium.register(f"tests/{name}-v0", kind, disable_env_checker=True, order_enforce=False)
