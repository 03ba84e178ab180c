"""Frames to train on and frames of novel poses: by number, by the maker's word, never both."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.capture.frame_split import FrameSplit, frame_split
from avatarpipe.errors import InputError

NAMES = ("000000", "000006", "000012", "000018")


def capture(names=NAMES, split: Path | None = None, same: tuple[int, int] | None = None):
    """What a split asks of a capture: frames, each of another pose but for the two of `same`, and truth."""
    turned = 0.1 * torch.arange(1.0, len(names) + 1)
    if same:
        turned[same[1]] = turned[same[0]]
    poses = BodyParams.zeros(len(names)).replaced(body_pose=turned[:, None].expand(-1, 63))
    truth = {} if split is None else {"split": split}
    return SimpleNamespace(path=Path("capture.json"), frame_names=names, poses=poses, truth=truth)


@pytest.fixture
def told(tmp_path):
    """A split.json that keeps the last two of five frames apart, the first of them not in the capture."""

    def write(train=NAMES[:3], novel=("000015", NAMES[3])) -> Path:
        path = tmp_path / "split.json"
        path.write_text(json.dumps({"train_frames": list(train), "novel_frames": list(novel)}))
        return path

    return write


@pytest.mark.parametrize(
    "spec, novel", [("6-13", NAMES[1:3]), ("18", NAMES[3:]), ("0,18-900", (NAMES[0], NAMES[3])), ("none", ())]
)  # fmt: skip
def test_frames_named_are_novel_and_all_others_are_trained_on(spec, novel):
    split = frame_split(capture(), spec)
    assert split.novel == novel and set(split.train) == set(NAMES) - set(novel)
    assert list(split.train) == sorted(split.train)


def test_the_maker_of_a_video_splits_it_unless_told_otherwise(told):
    assert frame_split(capture(split=told())) == FrameSplit(NAMES[:3], NAMES[3:])
    assert frame_split(capture(split=told()), "0") == FrameSplit(NAMES[1:], NAMES[:1])
    assert frame_split(capture()) == FrameSplit(NAMES, ())


@pytest.mark.parametrize(
    "spec, message",
    [
        ("7-11", "has none of them; its 4 frames are 000000 to 000018"),
        ("all", "none of its 4 frames is left to train on"),
        ("six", "'six' is none"),
    ],
)
def test_specs_that_split_nothing(spec, message):
    with pytest.raises(InputError, match=message):
        frame_split(capture(), spec)


def test_no_frame_and_no_pose_is_in_both_parts(told):
    with pytest.raises(InputError, match="000012 is in both"):
        frame_split(capture(split=told(novel=NAMES[2:])))
    with pytest.raises(InputError, match=r"frame 000018, .* shows the body pose of frame 000006"):
        frame_split(capture(same=(1, 3)), "18")
    assert frame_split(capture(same=(2, 3)), "12-18").novel == NAMES[2:]


def test_a_split_of_other_frames_or_of_none(told, tmp_path):
    with pytest.raises(InputError, match="left to train on"):
        frame_split(capture(NAMES[3:], told()))
    with pytest.raises(InputError, match="has no number"):
        frame_split(capture(("front", "back")), "0")
    (tmp_path / "split.json").write_text("{}")
    with pytest.raises(InputError, match="no list 'train_frames'"):
        frame_split(capture(split=tmp_path / "split.json"))
