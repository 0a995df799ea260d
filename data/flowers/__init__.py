"""Flowers that the program draws itself: the source `drawn`.

Here belong the species, the brush and the pictures. What every source shares (crop,
cache, image set) is in data/.
"""
