"""How long a value, a gradient and a Gauss-Newton product take, and a step of an environment."""

from neuromotor.benchmark.envs import EnvBenchmarkSettings, EnvRow, run_env_benchmark
from neuromotor.benchmark.learning import (
    LearningBenchmarkSettings,
    LearningRow,
    run_learning_benchmark,
)
from neuromotor.benchmark.measure import BenchmarkSettings, Row, run_benchmark
from neuromotor.benchmark.sessions import (
    SessionBenchmarkSettings,
    SessionRow,
    run_session_benchmark,
)

__all__ = [
    "BenchmarkSettings",
    "EnvBenchmarkSettings",
    "EnvRow",
    "LearningBenchmarkSettings",
    "LearningRow",
    "Row",
    "SessionBenchmarkSettings",
    "SessionRow",
    "run_benchmark",
    "run_env_benchmark",
    "run_learning_benchmark",
    "run_session_benchmark",
]
