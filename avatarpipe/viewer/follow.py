"""Avatars on disk that come, change and go while somebody looks: read in the background, never in the way."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from avatarpipe.avatar import Avatar
from avatarpipe.errors import InputError
from avatarpipe.viewer.found import FoundAvatar, by_age, find_avatars

_UNREADABLE = (InputError, OSError, ValueError, KeyError, RuntimeError)


def first_avatar(
    listed: list[FoundAvatar], device="cpu", patience: float = 5.0
) -> tuple[Avatar, FoundAvatar]:
    """The latest avatar that can be read; InputError where none can.

    patience: seconds in which a snapshot that is just being replaced may become whole.
    """
    over = time.monotonic() + patience
    while True:
        problems = []
        for found in by_age(listed):
            try:
                return Avatar.load(found.manifest, device), found
            except _UNREADABLE as error:
                problems.append((found, error))
        waiting = any(found.in_training for found, _ in problems)
        if not waiting or time.monotonic() > over:
            found, error = problems[0]
            raise InputError(f"{found.manifest.parent}: cannot be shown: {error}") from error
        time.sleep(0.2)


@dataclass(frozen=True)
class News:
    """What a look at the disk brought: another avatar, another list, a text; None where nothing is new."""

    avatar: Avatar | None = None
    found: FoundAvatar | None = None
    listed: list[FoundAvatar] | None = None
    status: str | None = None


class Follower:
    """Follows the manifest of one avatar and the list of those below a path.

    A snapshot's folder may be absent for a moment, half there, or of another version: `look` says so and tries again at the
    next turn; the avatar shown stays.
    """

    def __init__(self, path: str | Path, device="cpu"):
        self.path, self.device = Path(path), device
        self.found: FoundAvatar | None = None
        self._wanted: FoundAvatar | None = None
        self._stamp: tuple | None = None
        self._listed: list[FoundAvatar] = []
        self._list_again = 0.0

    def want(self, found: FoundAvatar) -> None:
        """Show this one from the next `look` on."""
        self._wanted = found

    def look(self) -> list[News]:
        """What is new since the last time. Raises nothing that a file can cause."""
        news = [self._look_at_one(), self._look_around()]
        return [item for item in news if item is not None]

    def _look_at_one(self) -> News | None:
        wanted, self._wanted = self._wanted, None
        found = wanted or self.found
        if found is None:
            return None
        stamp = _stamp(found.manifest)
        if stamp is None:
            return self._gone(found)
        if wanted is None and stamp == self._stamp:
            return None
        return self._read(found, stamp)

    def _gone(self, found: FoundAvatar) -> News | None:
        if found.in_training and (stamp := _stamp(found.trained)) is not None:
            return self._read(FoundAvatar(_finished(found.name), found.trained), stamp)
        self.found = found
        if self._stamp is None:
            return None
        self._stamp = None
        return News(status=f"{found.name}: its files are gone; showing what was read last")

    def _read(self, found: FoundAvatar, stamp: tuple) -> News | None:
        try:
            avatar = Avatar.load(found.manifest, self.device)
        except _UNREADABLE as error:
            self.found = found
            if stamp == _stamp(found.manifest):  # not just caught while being replaced
                self._stamp = stamp
                return News(status=f"{found.name}: cannot be read: {error}")
            return None
        self.found, self._stamp = found, stamp
        return News(avatar, found, status=_described(avatar, found, stamp))

    def _look_around(self) -> News | None:
        start = time.monotonic()
        if start < self._list_again:
            return None
        try:
            listed = find_avatars(self.path)
        except _UNREADABLE:
            listed = self._listed
        took = time.monotonic() - start
        self._list_again = start + max(3.0, 50 * took)  # 2 % of the time at most
        changed, self._listed = listed != self._listed, listed
        return News(listed=listed) if changed else None

    def start(self, tell: Callable[[News], None], every: float = 0.5) -> Callable[[], None]:
        """Look `every` so many seconds in a thread of its own and `tell` the news; returns what ends it."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(every):
                for news in self.look():
                    tell(news)

        thread = threading.Thread(target=watch, name="avatar follower", daemon=True)
        thread.start()

        def stop() -> None:
            over.set()
            thread.join(timeout=5.0)

        return stop


def _stamp(manifest: Path) -> tuple | None:
    """What changes when a folder is replaced; None where there is none."""
    try:
        status = manifest.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _finished(name: str) -> str:
    return name.replace(" / (in training)", "")


def _described(avatar: Avatar, found: FoundAvatar, stamp: tuple) -> str:
    if not found.in_training:
        return f"{avatar.subject}, trained"
    steps = avatar.provenance.get("iteration") if hasattr(avatar, "provenance") else None
    after = f" after {steps:,} iterations" if isinstance(steps, int) else ""
    clock = datetime.fromtimestamp(stamp[0] / 1e9).strftime("%H:%M:%S")
    return f"{avatar.subject}, in training: as of {clock}{after}"
