"""Writes files whole or not at all, and downloads them.

Every other package may import this one, which imports none of them.
"""
