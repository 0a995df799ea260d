"""Measures in ten minutes what can only be known on a GPU, and writes a page of it.

Each part runs in processes of its own (children.py) with a share of the time
(plan.py): one that fails, crashes or hangs is told on the page, and the others go on.
parts.py says what the parts are, measure.py is what their processes run, training.py is
the part that trains, page.py writes the page.
"""
