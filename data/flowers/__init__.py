"""The source `drawn`: flowers that the program draws itself.

Holds the species, the brush and the pictures. What all sources share (crop, cache,
image set) is in data/.
"""
