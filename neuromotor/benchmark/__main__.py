"""The process that `neuromotor bench` starts: `python -m neuromotor.benchmark THREADS`."""

import sys

from neuromotor.benchmark.measure import measure_here

if __name__ == "__main__":
    measure_here(int(sys.argv[1]))
