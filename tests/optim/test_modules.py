"""Any torch module: its Gauss-Newton products against dense matrices, and its training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from cases import normal
from forked import together
from scipy.optimize import minimize
from torch.func import functional_call, jacrev
from torch.nn import functional

from neuromotor.optim import (
    LBFGS,
    OPTIMIZERS,
    HessianFree,
    KroneckerAdam,
    ModuleObjective,
    ModuleTrainer,
)

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


class Unrolled(torch.nn.Module):
    """A recurrent network whose linear layers are used at every step."""

    def __init__(self):
        super().__init__()
        self.readout = torch.nn.Linear(3, 2)
        self.inputs = torch.nn.Linear(2, 3)
        self.recurrent = torch.nn.Linear(3, 3, bias=False)
        self.gain = torch.nn.Parameter(torch.ones(3))

    def forward(self, x, nudges=None):
        """Outputs (B, T, 2), and by layer what went in at every step; nudges are added to that."""
        rate, outputs = x.new_zeros(len(x), 3), []
        seen = {"inputs": [], "recurrent": [], "readout": []}

        def through(name, into):
            seen[name].append(into)
            given = getattr(self, name)(into)
            return given if nudges is None else given + nudges[name][len(seen[name]) - 1]

        for t in range(x.shape[1]):
            drive = through("inputs", x[:, t]) + through("recurrent", rate)
            rate = torch.tanh(self.gain * drive)
            outputs.append(through("readout", rate))
        return torch.stack(outputs, 1), seen


@pytest.mark.parametrize("kind", ["regression", "classification", "tied"])
def test_factors_are_the_second_moments_of_inputs_and_derivatives(kind):
    """The expectation over random residuals, from dense Jacobians and the loss's dense Hessian."""
    torch.manual_seed(3)
    net, x = Unrolled().double(), normal(3, 4, 2, seed=1)
    labels, wanted = normal(3, 4, 2, seed=2).argmax(-1), normal(3, 4, 2, seed=2)

    def loss_of(outputs):
        if kind == "classification":
            return functional.cross_entropy(outputs.view(12, 2), labels.flatten())
        if kind == "tied":  # neighbouring steps belong together: no sum over rows
            return functional.mse_loss(outputs.cumsum(1), wanted)
        return functional.mse_loss(outputs, wanted)

    def forward():
        outputs, _ = net(x)
        return outputs, loss_of(outputs)

    outputs, seen = net(x)
    nudges = {name: torch.zeros(4, 3, size).double() for name, size in SIZES.items()}
    jacobian = jacrev(lambda all_nudges: net(x, all_nudges)[0].flatten())(nudges)
    hessian = torch.autograd.functional.hessian(
        lambda flat: loss_of(flat.view(3, 4, 2)), outputs.detach().flatten()
    )
    objective = ModuleObjective(net.parameters(), forward)
    theta = objective.vector()
    draws = [
        objective.kronecker_factors(theta, torch.Generator().manual_seed(seed))
        for seed in range(200)
    ]
    places = torch.cat([block.places.flatten() for block in draws[0]])
    assert len(places.unique()) == len(places) == len(theta) - 3  # all but the gain
    numbers = {int(block.places[0, 0]): number for number, block in enumerate(draws[0])}
    named = dict(net.named_parameters())
    starts = dict(
        zip(named, np.cumsum([0, *(part.numel() for part in named.values())]), strict=False)
    )
    for name, size in SIZES.items():
        inputs = torch.cat(seen[name]).detach()
        if name != "recurrent":
            inputs = torch.cat([inputs, torch.ones(12, 1).double()], dim=1)
        number = numbers[int(starts[f"{name}.weight"])]
        torch.testing.assert_close(draws[0][number].columns, inputs.T @ inputs / 12)
        flat = jacobian[name].reshape(24, 12, size)  # by outputs, by step and trial, by unit
        expected = torch.einsum("osi,op,psj->ij", flat, hessian, flat).detach()
        rows = torch.stack([draw[number].rows for draw in draws]).mean(0)
        assert float((rows - expected).norm() / expected.norm()) < 0.25  # of 200 draws
        weight = named[f"{name}.weight"]
        at = draws[0][number].places[:, : weight.shape[1]]
        assert torch.equal(theta[at], weight.detach())


SIZES = {"inputs": 3, "recurrent": 3, "readout": 2}


@pytest.mark.parametrize("name", ["kron-lbfgs", "kron-descent", "kron-adam"])
def test_methods_with_factors_train_a_recurrent_module(name):
    torch.manual_seed(3)
    net, x = Unrolled().double(), normal(6, 4, 2, seed=1)
    wanted = torch.tanh(x.cumsum(1))

    def forward():
        outputs, _ = net(x)
        return outputs, functional.mse_loss(outputs, wanted)

    trainer = OPTIMIZERS[name].over(net.parameters())
    losses = [trainer.step(forward) for _ in range(150)]
    assert losses[-1] < 0.5 * losses[0]


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


def penalised(kind, penalty=1e-2):
    """A regression with a penalty on its weights."""
    torch.manual_seed(3)
    hidden = [torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)]
    module = torch.nn.Sequential(*hidden) if kind == "network" else torch.nn.Linear(3, 2)
    module, x = module.double(), normal(20, 3, seed=1)
    y = torch.stack([x[:, 0] - 2 * x[:, 1], 1 + x[:, 2]], dim=1)

    def forward():
        outputs = module(x)
        weights = sum(part.square().sum() for part in module.parameters())
        return outputs, (outputs - y).square().mean() + penalty * weights

    return module, forward, x, y


SECOND_ORDER = ["hf", "ahf", "krylov", "ksd", "newton"]


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_a_penalty_on_the_weights_leads_to_ridge_regression(name):
    module, forward, x, y = penalised("linear")
    trainer = OPTIMIZERS[name].over(module.parameters())
    for _ in range(60):
        trainer.step(forward)
    # |X W - y|^2 / 40 + .01 |W|^2 with a column of ones in X: (X'X + .4 I) W = X'y
    inputs = torch.cat([x, torch.ones(20, 1, dtype=torch.float64)], dim=1)
    gram = inputs.T @ inputs + 0.4 * torch.eye(4, dtype=torch.float64)
    expected = torch.linalg.solve(gram, inputs.T @ y)
    found = torch.cat([module.weight.T, module.bias[None]]).detach()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_a_penalised_network_comes_to_scipys_minimum(name):
    module, forward, *_ = penalised("network")
    objective = ModuleObjective(module.parameters(), forward)
    start = objective.vector()

    def value_and_gradient(theta):
        value, gradient = objective.value_and_gradient(torch.from_numpy(theta.copy()))
        return value, gradient.numpy()

    best = minimize(value_and_gradient, start.numpy(), jac=True, method="BFGS")
    objective.put(start)
    trainer = OPTIMIZERS[name].over(module.parameters())
    for _ in range(150):
        if trainer.step(forward) < (1 + 1e-3) * best.fun:
            break
    assert float(forward()[1].detach()) == pytest.approx(best.fun, rel=1e-3)


def test_a_penaltys_gradient_and_curvature_are_counted():
    module, forward, *_ = penalised("network", penalty=0.0)
    other, with_penalty, *_ = penalised("network", penalty=0.3)
    plain = ModuleObjective(module.parameters(), forward)
    objective = ModuleObjective(other.parameters(), with_penalty)
    theta, vector = plain.vector(), normal(26, seed=4)
    assert torch.equal(theta, objective.vector())
    one, two = plain.linearize(theta), objective.linearize(theta)
    torch.testing.assert_close(two.gradient, one.gradient + 0.6 * theta)
    torch.testing.assert_close(two.product(vector), one.product(vector) + 0.6 * vector)
    assert torch.equal(two.gradient, objective.value_and_gradient(theta)[1])


def test_a_weight_that_scales_the_loss_has_its_own_gradient():
    """The loss reaches `scale` both directly and through the outputs."""
    scale = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    x = normal(5, seed=1)

    def forward():
        outputs = scale * x
        return outputs, scale[0] ** 4 * outputs.square().sum()

    objective = ModuleObjective([scale], forward)
    linear = objective.linearize(objective.vector())
    size = float(x.square().sum())
    assert float(linear.gradient) == pytest.approx(6 * 2.0**5 * size)  # of s^6 |x|^2
    # 2 s^4 of the outputs' Hessian, and 12 s^2 |o|^2 with the outputs held
    product = float(linear.product(torch.ones(1, dtype=torch.float64)))
    assert product == pytest.approx((2 * 2.0**4 + 12 * 2.0**2 * 2.0**2) * size)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_where_a_step_changes_nothing_the_reason_says_why(name):
    module = torch.nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        module.weight.fill_(0.05)

    def forward():  # curves downwards at the start
        outputs = module(torch.ones(1, 1, dtype=torch.float64))
        return outputs, torch.cos(3 * outputs).mean()

    trainer = OPTIMIZERS[name].over(module.parameters())
    for _ in range(30):
        before = float(module.weight.detach())
        trainer.step(forward)
        assert float(module.weight.detach()) != before or trainer.reason
    if name == "hf":  # damping makes up for the curvature
        assert float(torch.cos(3 * module.weight.detach())) == pytest.approx(-1.0, abs=1e-6)
        assert trainer.reason == "no entry of the gradient above 1e-12"


def test_hessian_free_names_negative_curvature():
    module = torch.nn.Linear(1, 1, bias=False).double()

    def forward():  # a parabola upside down: no step is bounded
        outputs = module(torch.ones(1, 1, dtype=torch.float64))
        return outputs, -outputs.square().sum()

    trainer = HessianFree(damping=1e-6).over(module.parameters())
    trainer.step(forward)
    assert "curvature along the gradient is not positive" in trainer.reason
    augmented = OPTIMIZERS["ahf"].over(module.parameters())
    augmented.step(forward)
    assert "curvature along the gradient is not positive" in augmented.reason


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
    with pytest.raises(ValueError, match="`forward` must return the outputs that its loss"):
        HessianFree().over(module.parameters()).step(
            lambda: ((o := module(torch.ones(1, 2))).clone(), o.square().sum())
        )
    cell = torch.nn.RNNCell(2, 1)
    with pytest.raises(ValueError, match="`forward` must use linear layers"):
        KroneckerAdam().over(cell.parameters()).step(
            lambda: (o := cell(torch.ones(1, 2)), o.square().sum())
        )
    with pytest.raises(ValueError, match="a loss that is curved in the outputs"):
        KroneckerAdam().over(module.parameters()).step(
            lambda: (o := module(torch.ones(1, 2)), o.sum())
        )
    with pytest.raises(ValueError, match="one that ties 1200 outputs together"):
        KroneckerAdam().over(module.parameters()).step(
            lambda: (o := module(torch.rand(1200, 2)), o.sum().square())
        )
    with pytest.raises(ValueError, match="`structural` must be 0"):
        HessianFree(structural=0.1).over(module.parameters()).step(
            lambda: (o := module(torch.ones(1, 2)), o.square().sum())
        )


def test_the_example_runs():
    (done,) = together([EXAMPLE, "--smoke"])
    assert done.returncode == 0, done.stderr
    assert "regression" in done.stdout
    assert "classification" in done.stdout
