"""Several parts in one dictionary, and each back again."""

from avatarpipe.prefixes import prefixed, under


def test_each_part_comes_back_and_nothing_of_others():
    parts = {"a.": {"x": 1, "a.x": 2}, "ab.": {"x": 3}}
    flat = prefixed("a.", parts["a."]) | prefixed("ab.", parts["ab."]) | {"x": 4}
    assert flat == {"a.x": 1, "a.a.x": 2, "ab.x": 3, "x": 4}
    assert {prefix: under(prefix, flat) for prefix in parts} == parts
