"""Components of one's own: each module registers what it defines."""

from my_lab import controller, optimizer, plant, section, task

__all__ = ["controller", "optimizer", "plant", "section", "task"]
