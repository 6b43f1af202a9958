"""What the command of a recipe means, read independently of how it was written."""

import json
import shlex

from neuromotor.runs.reinforcement import learning_settings
from neuromotor.runs.settings import gather, resolve


def settings_of(command):
    """All settings of the run that a command means."""
    _, verb, task, *words = shlex.split(command)
    if verb == "rl":
        return _learning(task, words)
    assert verb == "train"
    options, assignments = {"task": task}, []
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "--set":
            assignments.append(value)
        elif flag == "--optimizer":
            options["optimizers"] = value
        elif flag not in ("--out", "--start"):
            key = flag.removeprefix("--")
            options[key] = value if key in ("dtype", "device") else json.loads(value)
    return resolve(gather(None, options, assignments, smoke=False)).as_dict()


def _learning(task, words):
    options, assignments = {"task": task}, []
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "--set":
            assignments.append(value)
        elif flag == "--algorithm":
            options["algorithms"] = value
        elif flag != "--out":
            options[flag.removeprefix("--")] = json.loads(value)
    return learning_settings(gather(None, options, assignments, smoke=False)).given
