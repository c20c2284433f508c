"""Names are stored as files can hold them."""

from atelier import names as names_of_data


def test_names_of_folders_are_stored_as_text_of_limited_length():
    names = names_of_data.stored_names(['a\udce9', 'b' * 500])
    assert names == ('a\\udce9', 'b' * 190 + '...') and names_of_data.are_names(names)
    assert names_of_data.stored_names(['b' * 500, 'b' * 499]) == ()
