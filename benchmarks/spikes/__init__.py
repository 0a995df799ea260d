"""The spike benchmark: does log damping protect training from gradient spikes?

`python -m benchmarks.spikes` runs it; __main__.py has the commands, docs/logadam.md the
findings.

What belongs here: the problems, the methods, the spikes and how all of them are run and
reported. What does not: anything a real training needs. The optimizers in NumPy are
rivals and twins of those in optim/, never used outside, and the GAN takes its networks,
losses and step from this project's own rooms instead of copying them.

This file imports nothing: `-m` runs it before __main__.py sets the number of threads,
which NumPy reads once, at its import.
"""
