"""`neuromotor solve` from the outside: what it prints and leaves, and how it goes on."""

import json

from forked import neuromotor

from neuromotor import load_controller


def test_solve_says_what_was_solved_and_goes_on(tmp_path):
    folder = tmp_path / "run"
    words = ("solve", "memory-5bit", "--lags", "2", "--cells", "tanh,gated", "--json")
    small = ("--set", "problem.length=2", "--set", "controller.layers=[10]", "--budget", "150")
    small += ("--optimizers", "lbfgs", "--set", "lbfgs.history=20", "--set", "test_calls=10")
    done = neuromotor(*words, *small, "--out", folder)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    found = [(row["lag"], row["cell"]) for row in summary["rows"]]
    assert found == [(2, "tanh"), (2, "gated")]
    assert summary["settings"]["lbfgs"]["history"] == 20
    assert all(row["solved"] for row in summary["rows"])
    saved = load_controller(folder / "controllers/2-gated-lbfgs-0.safetensors")
    assert saved.controller.layers == (10,)
    assert saved.info["problem"]["length"] == 2
    assert (folder / "figures/solved.png").is_file()
    refused = neuromotor(*words, *small, "--out", folder)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    again = neuromotor("solve", "--resume", folder, "--json")
    assert json.loads(again.stdout)["rows"] == summary["rows"]  # to the second: nothing was done


def test_wrong_words_are_named(tmp_path):
    for words, message in (
        (("memory-6bit",), "did you mean 'memory-5bit'"),
        (("balls", "--lags", "10"), "`lags` must be left out for a BouncingBalls"),
        (("addition", "--lags", "3"), "in `lags`: `lag` must be a whole number, 20 or more"),
        (("addition", "--cells", "tanj"), "did you mean 'tanh'"),
        (("addition", "--set", "adam.beta1=0.5"), "unknown setting `adam`"),
        (
            ("addition", "--set", "controller=gated-feedback", "--cells", "tanh"),
            "`cells` must be left out for a GatedFeedbackNetwork",
        ),
        (
            ("addition", "--set", "controller=constrained", "--cells", "tanh"),
            "in `cells`: `cell` must have rates that are never negative",
        ),
        ((), "Missing argument 'PROBLEM'"),
    ):
        done = neuromotor("solve", *words, "--out", tmp_path / "none")
        assert done.returncode == 2, words
        assert message in done.stderr, done.stderr


def test_compare_on_a_problem_is_solve(tmp_path):
    words = ("memory-5bit", "--lags", "2,3", "--cells", "tanh", "--optimizers", "kron-hf,lbfgs")
    small = ("--set", "problem.length=2", "--set", "controller.layers=[10]", "--budget", "100")
    rows = []
    for verb in ("solve", "compare"):
        done = neuromotor(verb, *words, *small, "--json", "--out", tmp_path / verb)
        assert done.returncode == 0, done.stderr
        rows.append(json.loads(done.stdout)["rows"])
    for row in (*rows[0], *rows[1]):
        del row["seconds"]
    assert rows[0] == rows[1]
    assert [row["lag"] for row in rows[1]] == [2, 2, 3, 3]
    again = neuromotor("compare", "--resume", tmp_path / "solve", "--json")
    assert len(json.loads(again.stdout)["rows"]) == 4, again.stderr
    for wrong, message in (
        (("memory-5bit", "--plant", "monkey"), "`--plant` must be left out on a problem"),
        (("center-out", "--lags", "30"), "`--lags` and `--cells` are for problems of memory"),
    ):
        done = neuromotor("compare", *wrong, "--out", tmp_path / "none")
        assert done.returncode == 2
        assert message in " ".join(done.stderr.split()), done.stderr
