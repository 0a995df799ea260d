"""Pictures to look at: grids, latent walks, and the pages of runs.

Their content arrives as arrays, rows and text; nothing here reads a checkpoint.
"""
