"""How settings from several places come together: what was said is what is used."""

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuromotor import ClosedLoop, SettingsError, load_controller, save_controller
from neuromotor.cli import main, training
from neuromotor.controllers import ContinuousTimeRNN
from neuromotor.optim import LBFGS
from neuromotor.plants import ARM_PRESETS, PLANTS
from neuromotor.runs.settings import gather, resolve
from neuromotor.storage.components import encode
from neuromotor.sweep import load_sweep
from neuromotor.tasks import TASKS, with_plant


def resolved(*texts, **options):
    return resolve(gather(None, options, texts, smoke=False))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["refresh=3"], 3),
        (["refresh=1", "refresh.lbfgs=25"], {"others": 1, "lbfgs": 25}),
        (["refresh.lbfgs=25", "refresh.others=1"], {"lbfgs": 25, "others": 1}),
        (["refresh.lbfgs=25", "refresh=1"], 1),
    ],
)
def test_one_methods_refresh_leaves_that_of_the_others(texts, expected):
    assert resolve(gather(None, {}, texts, smoke=False)).refresh == expected


# ---- whatever is said, in whatever place: an independent account of what it means ----

TASK_NAMES = {"center-out": "task", "pulsed-reach": "task.reach"}  # and where the reach is
ARMS = sorted(ARM_PRESETS)
values = {
    "name": st.sampled_from(ARMS),
    "parameters": st.sampled_from(ARMS),
    "mass": st.sampled_from([0.7, 1.1]),
    "dt_s": st.sampled_from([0.005, 0.01, 0.02]),
    "radius_m": st.sampled_from([0.03, 0.05]),
    "delay_steps": st.integers(0, 9),
    "delay_s": st.sampled_from([0.02, 0.06]),  # whole steps, whatever dt_s is
    "delay": st.sampled_from(["40 ms", "0.1s"]),
    "history": st.integers(1, 30),
    "layers": st.sampled_from([[4], [3, 5]]),
    "seed": st.integers(0, 9),
}
spellings = st.sampled_from(["plant", "within"])


@st.composite
def sayings(draw, most):
    """Settings by what they are about, with how each is spelt, in order."""
    about = draw(st.lists(st.sampled_from(list(values)), max_size=most))
    return [(what, draw(values[what]), draw(spellings)) for what in about]


def key_of(what, spelling, reach):
    plant = "plant" if spelling == "plant" else f"{reach}.plant"
    keys = {
        "name": plant,
        "parameters": f"{plant}.parameters",
        "mass": f"{plant}.parameters.mass_1",
        "dt_s": f"{plant}.dt_s",
        "history": "lbfgs.history",
        "layers": "controller.layers",
        "seed": "seed",
    }
    return keys.get(what, f"{reach}.{what}")


def once(said):
    """Each thing said at most once, all of the plant in one spelling, as one place must."""
    found = {}
    for what, value, _ in said:
        if not (what.startswith("delay") and any(key.startswith("delay") for key in found)):
            found[what] = value
    spelling = said[0][2] if said else ""
    return [(what, value, spelling) for what, value in found.items()]


def meant(task_name, *places):
    """The run that is meant, later places winning; within one, a name comes before its keys."""
    said, plant, parameters = {}, {}, {}
    for place in places:
        for what, value, _ in sorted(place, key=lambda one: one[0] not in ("name", "parameters")):
            if what == "name":
                if "name" in plant:  # another component from here on
                    plant, parameters = {}, {}
                plant["name"] = value
            elif what == "parameters":
                parameters = {"name": value} | ({} if "name" in parameters else parameters)
            elif what == "mass":
                parameters["mass_1"] = value
            elif what == "dt_s":
                plant["dt_s"] = value
            else:
                said["delay" if what.startswith("delay") else what] = what, value
    base = TASKS[task_name]
    arm = PLANTS[plant["name"]] if "name" in plant else base.plant
    own = ARM_PRESETS[parameters["name"]] if "name" in parameters else arm.parameters
    own = replace(own, mass_1=parameters.get("mass_1", own.mass_1))
    arm = replace(arm, parameters=own, dt_s=plant.get("dt_s", arm.dt_s))
    task = with_plant(base, arm)
    reach = getattr(task, "reach", task)
    what, value = said.get("delay", ("delay_steps", reach.delay_steps))
    if what != "delay_steps":
        value = round({"40 ms": 0.04, "0.1s": 0.1}.get(value, value) / arm.dt_s)
    radius = said.get("radius_m", (None, reach.radius_m))[1]
    reach = replace(reach, radius_m=radius, delay_steps=value)
    task = replace(task, reach=reach) if hasattr(task, "reach") else reach
    defaults = {"history": LBFGS().history, "layers": ContinuousTimeRNN().layers, "seed": 0}
    return task, {key: said.get(key, (key, default))[1] for key, default in defaults.items()}


def agrees(run, task, others):
    """Whether settings mean this, as they are and as a run folder keeps them."""
    kept = resolve(json.loads(json.dumps(run.as_dict())))
    for one in (run, kept):
        assert one.task == task
        assert one.optimizers["lbfgs"].history == others["history"]
        assert list(one.controller.layers) == list(others["layers"])
        assert one.seed == others["seed"]
    assert kept == run


def table_of(said, reach):
    """One place's settings as a table of tables."""
    table = {}
    for what, value, spelling in sorted(said, key=lambda one: one[0] in ("name", "parameters")):
        *path, last = key_of(what, spelling, reach).split(".")
        place = table
        for part in path:
            place = place.setdefault(part, {})
        if last in place:
            place[last]["type"] = value
        else:
            place[last] = value
    return table


QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def trained(monkeypatch):
    """The settings of what the command would train, in a list."""
    found = []

    def end(run, *arguments, **options):
        found.append(run)
        raise SystemExit(0)

    monkeypatch.setattr(training, "run_comparison", end)
    return found


def command(*words, out=None):
    """Run the command here; return exit code and stderr."""
    printed, err, argv = StringIO(), StringIO(), sys.argv
    sys.argv = ["neuromotor", *map(str, words)]
    try:
        with redirect_stderr(err), redirect_stdout(printed), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = argv
    if out is not None:
        out.write_text(printed.getvalue())
    return end.value.code, err.getvalue()


@QUICK
@given(
    task=st.sampled_from(list(TASK_NAMES)),
    typed=st.sampled_from([None, *TASK_NAMES]),
    file=sayings(4).map(once),
    option=st.none() | st.sampled_from(ARMS),
    sets=sayings(4),
)
def test_what_is_said_is_what_is_trained(trained, tmp_path, task, typed, file, option, sets):
    table = table_of(file, TASK_NAMES[typed or task])
    if typed is not None:
        table["task"] = {**table.get("task", {}), "type": typed}
    (tmp_path / "file.json").write_text(json.dumps(table))
    words = ["train", task, "--config", tmp_path / "file.json"]
    words += [] if option is None else ["--plant", option]
    for what, value, spelling in sets:
        words += ["--set", f"{key_of(what, spelling, TASK_NAMES[task])}={json.dumps(value)}"]
    code, said = command(*words)
    assert code == 0, said
    if typed not in (None, task):  # another task's settings, and its plant, are gone with it
        kept = ("history", "layers", "seed")
        file = [
            one
            for one in file
            if one[0] in kept
            or (one[2] == "plant" and one[0] in ("name", "parameters", "mass", "dt_s"))
        ]
    first = [] if option is None else [[("name", option, "plant")]]
    agrees(trained.pop(), *meant(task, file, *first, *([one] for one in sets)))


@QUICK
@given(
    task=st.sampled_from(list(TASK_NAMES)),
    common=sayings(4).map(once),
    swept=sayings(4).map(once),
)
def test_what_a_sweep_says_is_what_its_runs_train(tmp_path, task, common, swept):
    reach = TASK_NAMES[task]
    swept = [one for one in swept if one[0] != "seed"]
    lines = [f"task = {json.dumps(task)}"]
    lines += [f'"{key_of(w, s, reach)}" = {json.dumps(v)}' for w, v, s in common]
    grid = [f'"{key_of(w, s, reach)}" = [{json.dumps(v)}]' for w, v, s in swept]
    file = tmp_path / "sweep.toml"
    file.write_text("\n".join(["[train]", *lines, "[grid]", *grid]))
    (run,) = load_sweep(file).runs
    agrees(resolve(run.settings), *meant(task, common, swept))


# ---- one by one ----


def evaluated(out, *words):
    """What `neuromotor evaluate center-out/lbfgs` says, as JSON."""
    small = ("--json", "--set", "task.directions=4")
    code, said = command("evaluate", "center-out/lbfgs", *words, *small, out=out)
    assert code == 0, said
    return json.loads(out.read_text())


@pytest.mark.parametrize("plant", ["monkey", "human"])
def test_a_controller_is_evaluated_on_the_plant_that_is_named(plant, tmp_path):
    saved = load_controller("center-out/lbfgs")
    task = with_plant(replace(saved.task, directions=4), PLANTS[plant])
    trials = task.trials()
    with torch.no_grad():
        path = ClosedLoop(task, saved.controller).simulate(saved.parameters.double(), trials)
    loss = float(task.cost.losses(path.states, path.commands, trials).mean())
    changed = {"directions": [64, 4], "plant": ["monkey-published", plant]}
    for words in (
        ("--plant", plant),
        ("--set", f"task.plant={plant}"),
        ("--plant", plant, "--task", "center-out"),
    ):
        found = evaluated(tmp_path / "out", *words)
        assert found["loss"] == pytest.approx(loss, rel=1e-9)
        assert found["differs_from_training"] == changed
        assert found["task"]["plant"]["type"] == plant


def test_an_evaluation_says_its_task_and_what_differs(tmp_path):
    saved = load_controller("center-out/lbfgs")
    for name, task, expected in (
        ("with", saved.task, "not as in its training: radius_m is 0.06, was 0.04463"),
        ("without", None, "does not say which task it was trained on"),
    ):
        path = tmp_path / f"{name}.safetensors"
        save_controller(path, saved.controller, saved.parameters, task=task)
        words = ("evaluate", path, "--set", "task.directions=4", "--set", "task.radius_m=0.06")
        code, said = command(*words, out=tmp_path / "out")
        assert code == 0, said
        text = (tmp_path / "out").read_text()
        assert "on 4 trials of center-out" in text
        assert expected in text
    code, said = command("evaluate", path, "--set", "controller.layers=[5]")
    assert code == 2
    assert "`controller.layers` is [100, 100] in the controller's file, got [5]" in said
    code, said = command("evaluate", path, "--set", "budget=5")
    assert code == 2
    assert "`budget` changes nothing here" in said


def test_a_start_keeps_its_controller(trained):
    start = ("train", "center-out", "--start", "center-out/lbfgs")
    assert command(*start, "--smoke")[0] == 0
    assert trained.pop().controller == load_controller("center-out/lbfgs").controller
    code, said = command(*start, "--set", "controller.layers=[5]")
    assert code == 2
    assert "`controller.layers` is [100, 100] in the controller's file" in said
    code, said = command(*start, "--controller", "command-table")
    assert code == 2
    assert "`controller` is 'rnn' in its file, got 'command-table'" in said


def test_a_recording_that_exists_is_overwritten_by_an_option(tmp_path):
    (tmp_path / "a.nc").touch()
    code, said = command("record", "center-out/lbfgs", "--out", tmp_path / "a.nc")
    assert code == 2
    assert "`--force`" in said
    assert "overwrite=True" not in said


def test_a_run_holds_what_was_said(tmp_path):
    small = ("--budget", 1, "--no-figures", "--set", "controller.layers=[4]")
    small = (*small, "--set", "task.directions=2", "--set", "task.duration=80ms")
    first, second = tmp_path / "first", tmp_path / "second"
    assert command("train", "center-out", *small, "--plant", "human", "--out", first)[0] == 0
    config = (
        "--config",
        first / "settings.json",
        "--plant",
        "monkey",
        "--set",
        "task.delay_s=0.02",
    )
    assert command("train", "center-out", *config, "--no-figures", "--out", second)[0] == 0
    for folder, plant, delay in ((first, "human", 0), (second, "monkey", 2)):
        kept = json.loads((folder / "settings.json").read_text())["task"]
        assert (kept["plant"]["type"], kept["steps"], kept["delay_steps"]) == (plant, 8, delay)
        task = load_controller(folder / "controllers/lbfgs.safetensors").task
        assert task.plant == PLANTS[plant]
        assert (task.directions, task.steps, task.delay_steps) == (2, 8, delay)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["task.directions=true"], "`task.directions` has the wrong type: it cannot be True"),
        (['task.radius_m="0.06"'], "`task.radius_m` has the wrong type"),
        (["controller.layers=100,100"], r"got '100,100'; its default is \[100, 100\]"),
        (["controller=gated", "controller.cell=gatd"], "unknown controller.cell 'gatd'; did you"),
        (
            ["controller=gated", "controller.squash=tan"],
            "unknown squash 'tan'; did you mean",
        ),
        (["controller=gated", "controller.time_constant_s=1"], "unknown setting `controller.time"),
        ([f"seed={10**30}"], r"`seed` must be a whole number below 2\*\*63"),
        (["seed=9223372036854775807", "seeds=2"], r"below 2\*\*63"),
        ([f"hf.seed={10**30}", "optimizers=hf"], r"below 2\*\*63"),
        (["device=mps0"], "`device` must be one that this torch can use on this machine .cpu"),
        (["device=meta"], "`device` must be one that this torch can use"),
        (["radius_m=0.06"], "unknown setting `radius_m`; did you mean 'task.radius_m'?"),
        (
            ["radus=0.06", "optimizers=lbfgs"],
            "unknown setting `radus`; did you mean 'task.radius_m'?",
        ),
        (["mass_1=0.06"], "did you mean 'task.plant.parameters.mass_1'?"),
        (["delay_s=0.06"], "did you mean 'task.delay_s'?"),
        (["task.layers=[4]"], "unknown setting `task.layers`; did you mean 'controller.layers'?"),
        (["task=force-field", "task.delay=5ms"], "did you mean 'task.reach.delay'?"),
    ],
)
def test_what_cannot_be_meant_is_said(texts, message):
    with pytest.raises(SettingsError, match=message):
        resolved(*texts)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if hasattr(task, "reach")])
def test_the_plant_that_is_named_takes_the_place_of_a_saved_reachs(name):
    wanted = with_plant(TASKS[name], PLANTS["human"])
    saved = encode(TASKS[name], TASKS)
    assert (
        resolve(gather(None, {"plant": "human"}, [], smoke=False, base={"task": saved})).task
        == wanted
    )
    spec = {"type": name, "reach": {**saved["reach"]}}
    spec["reach"].pop("plant", None)
    assert resolve({"task": spec, "plant": "human"}).task == wanted


@pytest.mark.parametrize("plant", ["point-mass", "human-spatial", "monkey-muscles"])
def test_smoke_sizes_suit_every_plant(plant):
    small = resolve(gather(None, {"task": "postural", "plant": plant}, [], smoke=True))
    assert small.task.plant == PLANTS[plant]
    assert len(small.task.trials().target) == 9 * 2  # postures x directions of the load


def test_one_place_cannot_name_two_plants():
    with pytest.raises(SettingsError, match="the plant is given twice"):
        resolve({"task": {"type": "ddn", "plant": "monkey"}, "plant": "human"})
    with pytest.raises(SettingsError, match=r"`task.delay` and `task.delay_s` are the same"):
        resolve({"task": {"delay_s": 0.05, "delay": "50 ms"}})


def test_a_presets_name_over_a_full_table_replaces_it(tmp_path):
    full = resolved(task="ddn").as_dict()
    (tmp_path / "settings.json").write_text(json.dumps(full))
    run = resolve(gather(tmp_path / "settings.json", {"task": "ddn-delay"}, [], smoke=False))
    assert run.task == TASKS["ddn-delay"]
    assert run.task_name == run.as_dict()["task"]["type"] == "ddn-delay"
    run = resolve(gather(tmp_path / "settings.json", {"task": "ddn"}, [], smoke=False))
    assert run.task == TASKS["ddn"]
    text = "task.type=ddn-robust"
    run = resolve(gather(tmp_path / "settings.json", {"task": "ddn"}, [text], smoke=False))
    assert run.task == TASKS["ddn-robust"]


def test_a_changed_variant_keeps_its_name():
    run = resolved("task.noise=0.05", "task.disturbance_nm=0.1", task="ddn-delay")
    assert resolve(run.as_dict()).task_name == "ddn-delay"


def test_a_plants_settings_change_the_tasks_own_plant(monkeypatch):
    monkeypatch.setitem(TASKS, "own", with_plant(TASKS["center-out"], PLANTS["human"]))
    assert resolved("plant.dt_s=0.005", task="own").task.plant == replace(
        PLANTS["human"], dt_s=0.005
    )


def test_a_byte_order_mark_is_no_fault(tmp_path):
    for name, text in (("a.toml", "seed = 3"), ("a.json", '{"seed": 3}')):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert gather(tmp_path / name, {}, [], smoke=False)["seed"] == 3
    (tmp_path / "a.toml").write_bytes("seed = 3".encode("utf-16"))
    with pytest.raises(SettingsError, match=r"is not UTF-8 text .*; save it as UTF-8"):
        gather(tmp_path / "a.toml", {}, [], smoke=False)


def test_settings_that_change_nothing_are_named(trained, tmp_path):
    code, said = command("train", "center-out", "--set", "adam.learning_rate=1")
    assert code == 2
    assert "changes nothing, because only lbfgs trains" in said
    code, said = command("compare", "center-out", "--set", "refresh.hf=1")
    assert code == 2
    assert "leave `refresh.hf` out" in said
    code, said = command("train", "center-out", "--set", "references=ilqg")
    assert code == 2
    assert "`references` changes nothing: nothing in center-out is random or disturbs" in said
    assert command("train", "pulsed-reach", "--set", "references=ilqg")[0] == 0
    assert trained.pop().references == ("ilqg",)
    (tmp_path / "both.toml").write_text("[adam]\nlearning_rate = 1.0\n[lbfgs]\nhistory = 4")
    code, said = command("train", "center-out", "--config", tmp_path / "both.toml")
    assert code == 0
    assert "`adam`" in said
    assert trained.pop().optimizers["lbfgs"].history == 4


def test_a_task_is_named_or_known_by_the_run(tmp_path):
    code, said = command("train")
    assert code == 2
    assert "Missing argument 'TASK'" in said
    code, said = command("train", "--resume", tmp_path)
    assert code == 2
    assert "without settings.json" in said
