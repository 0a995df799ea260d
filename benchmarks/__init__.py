"""Benchmarks: what the docs claim, to be measured again.

Each runs from the repository root as `python -m benchmarks.NAME`. Nothing outside this
folder imports them but their tests. Results worth keeping are in results/.
"""
