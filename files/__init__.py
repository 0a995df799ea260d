"""Writes files whole or not at all, downloads them, and opens those of users.

Holds what every package needs that has files of its own. What is in a file is decided
where it is written. Every other package may import this one, which imports none.
"""
