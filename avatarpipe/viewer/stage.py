"""All that a user can do, in one thread and without a browser: the panels call it, the renderers draw what comes of it."""

import math
import time
from dataclasses import dataclass, field

import numpy as np

from avatarpipe.avatar import Avatar
from avatarpipe.viewer.figure import Figure
from avatarpipe.viewer.found import FoundAvatar
from avatarpipe.viewer.joints import PARTS, turn
from avatarpipe.viewer.motions import NONE, MotionShelf
from avatarpipe.viewer.playback import Playback
from avatarpipe.viewer.poses import random_pose, t_pose

PAPER = (238, 240, 243)


@dataclass
class Stage:
    """The figure, its motion, and how it is shown."""

    figure: Figure
    shelf: MotionShelf
    found: FoundAvatar
    listed: list[FoundAvatar] = field(default_factory=list)
    playback: Playback = field(default_factory=Playback)
    motion_name: str = NONE
    reading: str = ""
    """The motion that is being read, which may take seconds."""
    in_place: bool = True
    part: str = "left arm"
    joint: str = "left_shoulder"
    background: tuple[int, int, int] = PAPER
    floor: bool = True
    detail: float = 1.0
    status: str = ""
    problem: str = ""
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def put(self, avatar: Avatar, found: FoundAvatar) -> None:
        """Another avatar, or a newer state of this one; its motion goes on."""
        changed = avatar.subject != self.figure.avatar.subject
        self.figure.put(avatar)
        self.found = found
        if changed:
            self.choose_motion(NONE)

    def t_pose(self) -> None:
        """Arms and legs straight."""
        self._rest()
        self.figure.pose(t_pose(self.figure.standing))

    def captured_pose(self) -> None:
        """As the subject stood, in the shape set now."""
        self._rest()
        self.figure.pose(self.figure.standing)

    def random_pose(self) -> None:
        """Another one each time, the same ones in every run."""
        self._rest()
        self.figure.pose(random_pose(self.figure.standing, self.rng))

    def canonical(self) -> None:
        """The Gaussians as stored."""
        self._rest()
        self.figure.show_canonical()

    def _rest(self) -> None:
        self.playback.pause()

    def choose_part(self, part: str) -> None:
        """A part of the body; its first joint with it, or the one that bends most."""
        if part in PARTS:
            self.part = part
            self.joint = PARTS[part][1 if part.endswith("arm") else 0]

    def choose_joint(self, joint: str) -> None:
        """A joint of the part."""
        if joint in PARTS[self.part]:
            self.joint = joint

    @property
    def angles(self) -> list[float]:
        """The joint's rotation vector in degrees."""
        return [math.degrees(x) for x in turn(self.figure.params, self.joint)]

    def turn(self, degrees: list[float]) -> None:
        """Turn the joint to a rotation vector in degrees."""
        self._rest()
        self.figure.turn(self.joint, [math.radians(x) for x in degrees])

    def shape(self, index: int, value: float) -> None:
        """Set one of the ten betas."""
        if self.figure.follows_shape:
            self.figure.shape(index, value)

    def reset_shape(self) -> None:
        """The shape of the subject."""
        captured = self.figure.avatar.captured[0].betas.cpu()
        self.figure.pose(self.figure.params.replaced(betas=captured))

    def choose_motion(self, name: str, now: float | None = None) -> None:
        """Play this one; InputError where it cannot be read."""
        self.reading = ""
        if name not in self.shelf.names:
            return
        motion = self.shelf.read(name, self.figure.avatar)
        self.motion_name = name
        self.playback.load(motion)
        if motion is not None:
            self.playback.play(time.monotonic() if now is None else now)
            self._take_frame()

    def play_or_pause(self, now: float | None = None) -> None:
        """The other of the two."""
        if self.playback.playing:
            self.playback.pause()
        else:
            self.playback.play(time.monotonic() if now is None else now)
            self._take_frame()

    def seek(self, frame: int, now: float | None = None) -> None:
        """To a frame of the motion."""
        self.playback.seek(frame, time.monotonic() if now is None else now)
        self._take_frame()

    def set_speed(self, speed: float, now: float | None = None) -> None:
        """Times the motion's own, above 0."""
        if speed > 0:
            self.playback.set_speed(speed, time.monotonic() if now is None else now)

    def set_loop(self, loop: bool) -> None:
        """Begin again at the end, or stop there."""
        self.playback.loop = loop

    def set_in_place(self, in_place: bool) -> None:
        """Keep the pelvis above one spot, or go where the motion goes."""
        self.in_place = in_place
        self._take_frame()

    def advance(self, now: float | None = None) -> None:
        """The motion's frame of this moment."""
        if self.playback.advance(time.monotonic() if now is None else now):
            self._take_frame()

    def _take_frame(self) -> None:
        if self.playback.motion is not None:
            self.figure.pose(self.playback.pose(self.figure.standing, self.in_place))
