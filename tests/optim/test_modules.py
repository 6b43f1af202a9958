"""Any torch module: its Gauss-Newton products against dense matrices, and its training."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cases import normal
from torch.func import functional_call, jacrev
from torch.nn import functional

from neuromotor.optim import LBFGS, OPTIMIZERS, HessianFree, ModuleObjective, ModuleTrainer

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch_modules.py"


def problem(kind, seed=0):
    torch.manual_seed(seed)
    module = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    module = module.double()
    x = normal(20, 3, seed=1)
    if kind == "regression":
        y = torch.stack([x[:, 0] * x[:, 1], x.sum(1), x[:, 2] ** 2], dim=1)
        loss = functional.mse_loss
    else:
        y = x.argmax(1)
        loss = functional.cross_entropy

    def forward():
        outputs = module(x)
        return outputs, loss(outputs, y)

    return module, forward, x, y, loss


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_products_are_the_dense_gauss_newton_matrix(kind):
    module, forward, x, y, loss = problem(kind)
    objective = ModuleObjective(module.parameters(), forward)
    theta = objective.vector()
    names = [name for name, _ in module.named_parameters()]
    shapes = [part.shape for part in module.parameters()]

    def outputs_of(vector):
        parts = vector.split([shape.numel() for shape in shapes])
        parts = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        return functional_call(module, dict(zip(names, parts, strict=True)), x).flatten()

    jacobian = jacrev(outputs_of)(theta)
    outputs = outputs_of(theta).detach()
    hessian = torch.autograd.functional.hessian(lambda o: loss(o.view(20, 3), y), outputs)
    dense = jacobian.T @ hessian @ jacobian
    linear = objective.linearize(theta)
    vector = normal(len(theta), seed=3)
    torch.testing.assert_close(linear.product(vector), dense @ vector, rtol=1e-9, atol=1e-11)
    value, gradient = objective.value_and_gradient(theta)
    assert linear.value == value == objective.value(theta)
    torch.testing.assert_close(linear.gradient, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("name", ["hf", "ahf", "ksd", "krylov", "newton", "lbfgs"])
def test_second_order_methods_train_a_module(name, kind):
    module, forward, *_ = problem(kind)
    trainer = OPTIMIZERS[name].over(module.parameters())
    losses = [trainer.step(forward) for _ in range(25)]
    assert losses[-1] < 0.1 * losses[0]
    assert float(forward()[1].detach()) <= losses[-1]


def test_the_state_saves_and_loads():
    results = []
    for cut in (False, True):
        module, forward, *_ = problem("classification")
        trainer = HessianFree().over(module.parameters())
        for _ in range(3):
            trainer.step(forward)
        if cut:
            state = trainer.state_dict()
            module, forward, *_ = problem("classification", seed=5)
            trainer = HessianFree().over(module.parameters())
            trainer.load_state_dict(state)
        results.append([trainer.step(forward) for _ in range(3)])
    assert results[0] == results[1]
    with pytest.raises(ValueError, match="`data` must come from LBFGS"):
        LBFGS().over(module.parameters()).load_state_dict(trainer.state_dict())


def test_other_data_and_parameters_set_by_hand_are_noticed():
    module = torch.nn.Linear(1, 1, bias=False).double()
    target = [3.0]

    def forward():
        outputs = module(torch.ones(1, 1, dtype=torch.float64))
        return outputs, 0.5 * (outputs - target[0]).square().sum()

    trainer = ModuleTrainer(module.parameters(), HessianFree(damping=1e-9))
    trainer.step(forward)
    assert float(module.weight.detach()) == pytest.approx(3.0, abs=1e-6)
    target[0] = -1.0
    assert trainer.step(forward) == pytest.approx(8.0, rel=1e-6)
    assert float(module.weight.detach()) == pytest.approx(-1.0, abs=1e-6)
    with torch.no_grad():
        module.weight.fill_(1.0)
    assert trainer.step(forward) == pytest.approx(2.0)


def test_wrong_use_is_named():
    module = torch.nn.Linear(2, 1)
    with pytest.raises(ValueError, match="`parameters` must hold at least one"):
        LBFGS().over([])
    half = torch.nn.Linear(2, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="`parameters` must share one dtype"):
        LBFGS().over([*module.parameters(), *half.parameters()])
    trainer = LBFGS().over(module.parameters())
    with pytest.raises(TypeError, match="`forward` must return outputs and loss"):
        trainer.step(lambda: module(torch.ones(1, 2)).sum())
    with pytest.raises(ValueError, match="`structural` must be 0"):
        HessianFree(structural=0.1).over(module.parameters()).step(
            lambda: (o := module(torch.ones(1, 2)), o.square().sum())
        )


def test_the_example_runs():
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "--smoke"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "regression" in done.stdout
    assert "classification" in done.stdout
