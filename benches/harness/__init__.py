"""The parts of `run.py`: which servers, which workloads, how one is measured, how it is told."""
