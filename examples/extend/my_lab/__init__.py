"""Components of one's own: each module registers what it defines."""

from my_lab import cell, controller, experiment, optimizer, plant, section, task

__all__ = ["cell", "controller", "experiment", "optimizer", "plant", "section", "task"]
