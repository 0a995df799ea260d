"""Writes what a long run has given, to a page that outlasts the run's folder."""
