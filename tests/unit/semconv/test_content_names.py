"""The names of content are the ones that the table marks as content."""

from lmspan import semconv as sc


def test_the_set_of_content_names_is_what_the_table_marks():
    assert {name for name, entry in sc.table().items() if entry.meta.content} == sc.CONTENT
