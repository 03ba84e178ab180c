"""Avatars on disk: found, followed while a training replaces them, never in the way when they are broken."""

import json
import os
import shutil
import threading
import time

import pytest
from viewer_parts import animatable_avatar, coated_avatar

from avatarpipe.errors import InputError
from avatarpipe.viewer.follow import Follower, first_avatar
from avatarpipe.viewer.found import by_age, find_avatars


def names(path) -> list[str]:
    return [found.name for found in find_avatars(path)]


def test_avatars_are_found_from_every_height(results):
    outer = results / "ada/layered/outer"
    assert names(results) == ["ada / layered / outer", "zoe / animatable / full"]
    assert names(results / "ada") == ["layered / outer"]
    assert names(outer) == ["avatar"]
    for path in (outer / "avatar", outer / "avatar/avatar.json"):
        (found,) = find_avatars(path)
        assert found.name == "ada / layered / outer"
        assert found.manifest == outer / "avatar/avatar.json" and not found.in_training


def test_snapshots_are_found_and_drafts_are_not(results, tmp_path):
    folder = tmp_path / "zoe/animatable/full"
    shutil.copytree(results / "zoe/animatable/full/avatar", folder / "snapshot")
    shutil.copytree(folder / "snapshot", folder / ".snapshot.abcd")
    shutil.copytree(folder / "snapshot", folder / "checkpoints/snapshot")
    (found,) = find_avatars(tmp_path)
    assert found.name == "zoe / animatable / full / (in training)" and found.in_training
    assert find_avatars(folder)[0].manifest == found.manifest


def test_the_youngest_is_shown_first(results, tmp_path):
    for name in ("old", "young", "older"):
        shutil.copytree(results / "zoe/animatable/full/avatar", tmp_path / name)
    young = tmp_path / "young/avatar.json"
    os.utime(young, (2e9, 2e9))
    os.utime(tmp_path / "older/avatar.json", (1e9, 1e9))
    listed = find_avatars(tmp_path)
    assert [found.name for found in by_age(listed)] == ["young", "old", "older"]
    assert first_avatar(listed)[1].manifest == young
    young.write_text("{")  # the next best
    assert first_avatar(listed)[1].name == "old"


def test_where_there_is_none_the_error_says_what_there_is(tmp_path, results):
    for name in ("convert", "render", "normalize"):
        (tmp_path / "dora" / name).mkdir(parents=True)
    with pytest.raises(InputError, match=r"no avatar here.*Found convert/, normalize/, render/"):
        find_avatars(tmp_path / "dora")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="Found nothing"):
        find_avatars(tmp_path / "empty")
    with pytest.raises(InputError, match="no such file or folder"):
        find_avatars(tmp_path / "nobody")
    with pytest.raises(InputError, match=r"avatar\.json"):
        find_avatars(results / "motions/wave.npz")


def test_what_cannot_be_read_is_an_input_error(results, tmp_path):
    shutil.copytree(results / "zoe/animatable/full/avatar", tmp_path / "avatar")
    (tmp_path / "avatar/captured.npz").unlink()
    with pytest.raises(InputError, match=r"cannot be shown.*captured\.npz"):
        first_avatar(find_avatars(tmp_path))


def look_for(follower: Follower, what: str) -> list:
    """News with something in the field `what`."""
    return [news for news in follower.look() if getattr(news, what) is not None]


def test_a_training_is_followed_to_its_end(viewed_body, tmp_path):
    folder = tmp_path / "zoe/animatable/full"
    animatable_avatar(viewed_body, iteration=100).save(folder / "snapshot")
    (found,) = find_avatars(tmp_path)
    follower = Follower(tmp_path)
    follower.want(found)
    (news,) = look_for(follower, "avatar")
    assert "in training" in news.status and "after 100 iterations" in news.status
    assert not look_for(follower, "avatar")  # unchanged
    animatable_avatar(viewed_body, iteration=2000).save(folder / "snapshot")
    (news,) = look_for(follower, "avatar")
    assert "after 2,000 iterations" in news.status
    animatable_avatar(viewed_body).save(folder / "avatar")
    shutil.rmtree(folder / "snapshot")
    (news,) = look_for(follower, "avatar")
    assert news.status == "zoe, trained" and news.found.name == "zoe / animatable / full"
    follower._list_again = 0.0
    (news,) = look_for(follower, "listed")
    assert [found.name for found in news.listed] == ["zoe / animatable / full"]
    assert not follower.look()


def test_half_there_is_waited_for(viewed_body, tmp_path):
    folder = tmp_path / "snapshot"
    animatable_avatar(viewed_body).save(folder)
    (found,) = find_avatars(tmp_path)
    follower = Follower(tmp_path)
    follower.want(found)
    assert look_for(follower, "avatar")
    whole = (folder / "body.safetensors").read_bytes()
    document = (folder / "avatar.json").read_text()
    (folder / "body.safetensors").write_bytes(whole[:1000])
    (folder / "avatar.json").write_text(document + " ")
    (news,) = look_for(follower, "status")
    assert news.avatar is None and "cannot be read" in news.status
    assert not look_for(follower, "status")  # said once
    (folder / "avatar.json").write_text(json.dumps({"format_version": 99}))
    assert "format version 99" in look_for(follower, "status")[0].status
    shutil.rmtree(folder)
    assert "gone" in look_for(follower, "status")[0].status
    assert not look_for(follower, "status")
    animatable_avatar(viewed_body).save(folder)
    assert look_for(follower, "avatar")


def test_a_first_snapshot_that_is_being_replaced_is_waited_for(viewed_body, tmp_path):
    folder = tmp_path / "snapshot"
    animatable_avatar(viewed_body).save(folder)
    listed = find_avatars(tmp_path)
    shutil.rmtree(folder)
    timer = threading.Timer(0.5, lambda: animatable_avatar(viewed_body).save(folder))
    timer.start()
    assert first_avatar(listed, patience=20.0)[0].subject == "zoe"
    timer.join()


def test_following_goes_on_beside_a_training_that_saves_all_the_time(viewed_body, tmp_path):
    avatar = animatable_avatar(viewed_body)
    avatar.save(tmp_path / "snapshot")
    follower, heard, over = Follower(tmp_path), [], threading.Event()
    follower.want(find_avatars(tmp_path)[0])

    def train() -> None:
        while not over.is_set():
            avatar.save(tmp_path / "snapshot")

    thread = threading.Thread(target=train)
    stop = follower.start(heard.append, every=0.001)
    thread.start()
    end = time.monotonic() + 20
    while sum(news.avatar is not None for news in heard) < 5 and time.monotonic() < end:
        time.sleep(0.02)
    over.set()
    thread.join()
    stop()
    assert sum(news.avatar is not None for news in heard) >= 5


def test_another_avatar_can_be_asked_for(results, tmp_path, viewed_body):
    coated_avatar(viewed_body, "bob").save(tmp_path / "bob/avatar")
    coated_avatar(viewed_body, "eve").save(tmp_path / "eve/avatar")
    bob, eve = find_avatars(tmp_path)
    follower = Follower(tmp_path)
    for found in (bob, eve, bob):
        follower.want(found)
        (news,) = look_for(follower, "avatar")
        assert news.avatar.subject == found.name and follower.found == found
