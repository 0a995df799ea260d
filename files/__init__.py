"""How files come to be: written whole or not at all, and downloaded.

The ground floor: every room may use it, and it uses none. What is in a file is the
business of the room that writes it.
"""
