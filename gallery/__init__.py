"""Pictures for people: grids, walks through latent space, and the pages of runs.

Here belong files that are made to be looked at, and the templates of pages. What they
show comes in as arrays, rows and words; nothing here reads a checkpoint.
"""
