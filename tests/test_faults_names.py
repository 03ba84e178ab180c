"""kill -9 at every moment at which a step puts something in its place: what has a manifest is all old or all new."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from avatarpipe.capture.writing import publishing
from avatarpipe.files import atomic_folder, write_json
from avatarpipe.record import recording

CHANGES = ("rename", "replace", "unlink", "rmdir")
PARTS = ("table.json", "pictures/a.json", "avatar/one.json", "avatar/two.json")


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """What is not about to lose its power need not wait for its disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@dataclass
class Options:
    """A step for the test."""

    out: Path
    text: str


def beside(options: Options) -> None:
    """One file after the other, in their places, the manifest last."""
    folder = options.out.parent
    for name in PARTS[:2]:
        write_json(folder / name, {"text": options.text})
    with atomic_folder(folder / "avatar") as draft:
        for name in PARTS[2:]:
            write_json(draft / Path(name).name, {"text": options.text})
    write_json(options.out, {"text": options.text})


def together(options: Options) -> None:
    """All in a draft, which then moves."""
    with publishing(options.out) as draft:
        beside(Options(draft / options.out.name, options.text))


def run(step, out: Path, text: str) -> None:
    """As `run_step` does it, without the provenance."""
    with recording(out):
        step(Options(out, text))


class Killed(BaseException):
    """What has been killed changes nothing any more, whatever it would do to clean up."""


def killed_at(number: int, step, out: Path) -> bool:
    """Run the step as if it was killed before its `number`-th change of a name; whether it came to that."""
    left = [number]
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counting(getattr(os, name), left))
        try:
            run(step, out, "new")
        except Killed:
            return True
    return left[0] <= 0


def counting(change, left: list[int]):
    def counted(*args, **options):
        left[0] -= 1
        if left[0] <= 0:
            raise Killed
        return change(*args, **options)

    return counted


@pytest.mark.parametrize("step", [beside, together])
def test_what_has_a_manifest_is_all_old_or_all_new(step, tmp_path):
    out, number, absent = tmp_path / "capture.json", 0, 0
    while True:
        number += 1
        run(step, out, "old")
        if not killed_at(number, step, out):
            break
        if out.exists():
            texts = {(tmp_path / name).read_text() for name in (out.name, *PARTS)}
            assert len(texts) == 1, f"killed before change {number}"
        absent += not out.exists()
        run(step, out, "new")
        assert all('"new"' in (tmp_path / name).read_text() for name in (out.name, *PARTS))
    assert number > 8 and absent


@pytest.mark.parametrize("step", [beside, together])
def test_a_step_that_fails_before_it_writes_changes_nothing(step, tmp_path):
    out = tmp_path / "capture.json"
    run(step, out, "old")

    def fails(options: Options) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(fails, out, "new")
    assert '"old"' in out.read_text()


def test_what_a_step_itself_wrote_stays_when_it_writes_more(tmp_path):
    """Such as the pictures of a motion, which come after the motion."""

    def out_first(options: Options) -> None:
        write_json(options.out, {"text": options.text})
        write_json(options.out.parent / "picture.json", {"text": options.text})

    for text in ("old", "new"):
        run(out_first, tmp_path / "motion.json", text)
        assert f'"{text}"' in (tmp_path / "motion.json").read_text()


def test_a_folder_is_never_half_deleted(tmp_path):
    """The old one is moved away first; where the new one cannot take its place it comes back."""
    with atomic_folder(tmp_path / "avatar") as draft:
        write_json(draft / "one.json", {})
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="no rename"):
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no rename")))
        with atomic_folder(tmp_path / "avatar") as draft:
            (draft / "two.json").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "avatar",
        "avatar/one.json",
    ]
