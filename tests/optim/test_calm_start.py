"""The calm start: the readout is scaled down while that helps."""

import torch
from cases import SmallProblem

from neuromotor.optim import LBFGS, Budget, KroneckerLBFGS


class Readout(SmallProblem):
    """A problem whose second half of parameters is the readout."""

    readout = slice(5, None)


def test_calm_start_scales_the_readout_down_while_that_helps():
    problem = Readout(lambda x: torch.cat([x[:5], 100 * x[5:] - 1.0]))
    start = torch.ones(10, dtype=torch.float64)
    seen = []
    result = KroneckerLBFGS().minimize(
        problem, start, Budget(calls=12), lambda progress: seen.append(progress.parameters)
    )
    assert result.counts.values == 5  # 0.3, 0.09, 0.027 and 0.0081 help, 0.00243 does not
    lbfgs = LBFGS(calm_start=True).minimize(problem, start, Budget(calls=12))
    assert lbfgs.counts.values == 5
    kept = KroneckerLBFGS(calm_start=False).minimize(problem, start, Budget(calls=12))
    assert kept.counts.values == 0
