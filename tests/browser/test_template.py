"""components/template.py: where in a template a value stands."""

import pytest

from components.template import Place, places

CHILD, ATTRIBUTE = Place.CHILD, Place.ATTRIBUTE
BOOLEAN, PROPERTY, EVENT = Place.BOOLEAN, Place.PROPERTY, Place.EVENT


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (t"{0}", [CHILD]),
        (t"<p>{0}</p>{0}", [CHILD, CHILD]),
        (t"a < b {0} <3 {0}", [CHILD, CHILD]),
        (t"<p id={0} class='a {0} b' title=\"{0}\">", [ATTRIBUTE] * 3),
        (t"<p ?a={0} .b={0} @c={0} d={0}>", [BOOLEAN, PROPERTY, EVENT, ATTRIBUTE]),
        (t"<p ?a = {0} @c\n=\n{0}>{0}", [BOOLEAN, EVENT, CHILD]),
        (t"<p class='a'@click={0} title=it's @focus={0}>{0}", [EVENT, EVENT, CHILD]),
        (t"<p title='a > b' .x={0}/>{0}", [PROPERTY, CHILD]),
        (t"<input disabled .value={0} /><br/>{0}", [PROPERTY, CHILD]),
        (t"<!-- <p title='x {0} --><p @x={0}>", [CHILD, EVENT]),
        (t"<my-element data-a={0}></my-element >{0}", [ATTRIBUTE, CHILD]),
    ],
)
def test_the_place_of_each_value(template, expected):
    assert places(template.strings) == expected


@pytest.mark.parametrize("template", [t"<p {0}>", t"<p {0}='a'>", t"<p a{0}='a'>"])
def test_a_value_is_no_name(template):
    with pytest.raises(ValueError, match="expected values"):
        places(template.strings)
