"""How long a value, a gradient and a Gauss-Newton product take: ours, the floor, and peers."""

from neuromotor.benchmark.measure import BenchmarkSettings, Row, run_benchmark

__all__ = ["BenchmarkSettings", "Row", "run_benchmark"]
