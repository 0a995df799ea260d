"""The source `drawn`: flowers that the program draws itself.

What all sources share (crop, cache, image set) is in data/.
"""
