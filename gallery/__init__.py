"""Pictures to look at: grids, latent walks, and the pages of runs.

Holds what draws them and the templates of the pages. Their content arrives as arrays,
rows and text; nothing here reads a checkpoint.
"""
