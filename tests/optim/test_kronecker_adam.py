"""Adam along the eigenvectors of Kronecker factors against numpy."""

import numpy as np
import torch
from cases import SmallProblem, normal

from neuromotor.optim import Budget, KroneckerAdam


def random_positive(size, seed):
    root = normal(size, size, seed=seed)
    return root @ root.T


def test_adam_takes_its_first_step_along_the_signs_of_the_eigenvectors_coordinates():
    matrix = random_positive(6, 1)
    root = torch.linalg.cholesky(matrix)
    start, rate = torch.ones(6, dtype=torch.float64), 0.2
    seen = []
    KroneckerAdam(learning_rate=rate, warmup=0.0, clip_norm=None).minimize(
        SmallProblem(lambda x: root.T @ x),
        start,
        Budget(interrupted=lambda: len(seen) >= 2),
        lambda progress: seen.append(progress.parameters.clone()),
    )
    vectors = np.linalg.eigh(matrix.numpy())[1]
    expected = -rate * vectors @ np.sign(vectors.T @ (matrix @ start).numpy())
    np.testing.assert_allclose((seen[1] - start).numpy(), expected, atol=1e-6)
