"""A motion over time: play, pause, speed, seek, loop; on the avatar's spot or where the motion goes."""

from dataclasses import dataclass

from avatarpipe.body.params import BodyParams
from avatarpipe.motions.motion import Motion


@dataclass
class Playback:
    """Where in a motion we are. Frames count from 0; times are a clock's seconds."""

    motion: Motion | None = None
    playing: bool = False
    speed: float = 1.0
    loop: bool = True
    frame: int = 0
    _since: tuple[float, float] | None = None
    """(clock, position in frames) that the present speed counts from."""

    def load(self, motion: Motion | None) -> None:
        """Another motion, at its first frame, at rest."""
        self.motion, self.frame = motion, 0
        self.pause()

    def play(self, now: float) -> None:
        """From here on, or from the start where the end was reached."""
        if self.motion is None:
            return
        if self.frame >= len(self.motion) - 1:
            self.frame = 0
        self.playing, self._since = True, (now, float(self.frame))

    def pause(self) -> None:
        """Stay at this frame."""
        self.playing, self._since = False, None

    def seek(self, frame: int, now: float) -> None:
        """To a frame, playing on if playing."""
        self.frame = min(max(int(frame), 0), self._last)
        if self.playing:
            self._since = now, float(self.frame)

    def set_speed(self, speed: float, now: float) -> None:
        """Times the motion's own; what was played stays played."""
        if self.playing:
            self._since = now, self._position(now)
        self.speed = speed

    @property
    def _last(self) -> int:
        return 0 if self.motion is None else len(self.motion) - 1

    def _position(self, now: float) -> float:
        """In frames since the motion's first, however often it began again."""
        clock, start = self._since
        return start + (now - clock) * self.speed * self.motion.fps

    def advance(self, now: float) -> bool:
        """Move to the frame of this moment; whether it is another one. Without loop, stop at the last."""
        if not self.playing:
            return False
        position = int(self._position(now))
        frame = position % len(self.motion) if self.loop else min(position, self._last)
        if not self.loop and position >= self._last:
            self.pause()
        changed, self.frame = frame != self.frame, frame
        return changed

    def pose(self, standing: BodyParams, in_place: bool) -> BodyParams:
        """The frame's pose in the shape of `standing` (one body).

        in_place: the pelvis stays where `standing` has it, but for its ups and downs, measured from the first frame.
        """
        params = self.motion.poses[self.frame]
        if not in_place:
            return params.replaced(betas=standing.betas)
        transl = standing.transl.clone()
        transl[:, 1] += params.transl[:, 1] - self.motion.poses.transl[:1, 1]
        return params.replaced(betas=standing.betas, transl=transl)
