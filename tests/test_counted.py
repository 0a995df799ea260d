"""Numbers and what they count."""

from files.counted import counted


def test_one_thing_is_singular_and_none_or_many_are_plural():
    assert counted(1, "photograph") == "1 photograph"
    assert counted(0, "photograph") == "0 photographs"
    assert counted(8189, "photograph") == "8,189 photographs"
    assert counted(2, "box", "boxes") == "2 boxes"
