"""What generate.py makes besides images and grids of a seed, one file for each."""
