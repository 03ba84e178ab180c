import numpy as np
import pytest

from avatarpipe.capture.labels import PALETTE, Label, garment_labels, garment_mask
from avatarpipe.errors import InputError


def test_every_label_has_a_colour_of_its_own():
    assert [int(label) for label in Label] == list(range(len(PALETTE)))
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == len(PALETTE)


def test_garments():
    assert garment_labels("upper") == {Label.UPPER, Label.OUTER}
    assert garment_labels("both") == garment_labels("upper") | garment_labels("lower")
    assert garment_mask(np.array([[0, 4], [5, 6]]), "lower").tolist() == [
        [False, False],
        [True, False],
    ]
    with pytest.raises(InputError, match="garment 'hat': unknown; use one of upper, lower, both"):
        garment_labels("hat")
