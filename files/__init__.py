"""Writes files whole or not at all, and downloads them.

Holds what every package needs that has files of its own. What is in a file is decided
where it is written. Every other package may import this one, which imports none.
"""
