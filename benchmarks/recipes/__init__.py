"""Recipe experiments: settings of the trainer, each judged over several seeds.

`python -m benchmarks.recipes` runs them; __main__.py has the commands,
docs/experiments.md the plan, every run and the conclusions.

What belongs here: reading a queue of settings, running train.py and evaluate.py for
each of its runs, and reporting. What does not: anything that trains or measures; the
two commands do that, as a user would call them.
"""
