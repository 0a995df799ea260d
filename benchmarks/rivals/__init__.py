"""The same pair and step in other frameworks, to race against.

One module per framework; each has a `build` that returns a `Ready`. Each contestant
runs in a process of its own (worker.py), which waits until it is told to do one
iteration. race.py starts the workers and lets them take turns. Nothing outside
benchmarks/ imports this.
"""
