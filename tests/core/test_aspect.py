import pytest

from aigc_desktop.core.aspect import CELLS, SQUARE, pixels_of, usual_aspect


def test_a_size_is_the_side_of_squares_and_about_that_of_other_shapes():
    assert pixels_of(SQUARE, 64) == (64, 64)
    assert pixels_of("2:1", 64) == (128, 64) and pixels_of("1:2", 64) == (64, 128)
    assert pixels_of("3:4", 64) == (48, 64) and pixels_of("16:9", 32) == (56, 32)


@pytest.mark.parametrize("aspect", CELLS)
def test_pixels_have_about_the_shape_they_are_named_for(aspect):
    width, height = pixels_of(aspect, 256)
    wide, high = map(int, aspect.split(":"))
    assert width / height == pytest.approx(wide / high, rel=0.02)


def test_the_usual_shape_is_that_of_the_middle_picture():
    assert usual_aspect([(1920, 1080), (1280, 720), (500, 500)]) == "16:9"
    assert usual_aspect([(300, 400)] * 3 + [(4000, 100)]) == "3:4"
    assert usual_aspect([]) == usual_aspect([(0, 0)]) == SQUARE
