"""What is said before hours are spent: `--check` and `--doctor` of train.py.

Nothing here trains a run or writes its files.
"""
