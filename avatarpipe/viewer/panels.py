"""What a user presses and drags: controls that post to the stage and, when told, show what the stage has become."""

import html
import math
import time
from collections.abc import Callable

import viser

from avatarpipe.viewer.joints import PARTS
from avatarpipe.viewer.stage import Stage

Post = Callable[[Callable[[], None]], None]
_OWN_SHAPE = "This avatar keeps the shape of its subject: it was trained for that one alone."
_SPEEDS = 0.1, 3.0
_REST = 0.7  # seconds: longer than a page is behind


def on_change(handle, post: Post, action: Callable) -> None:
    """Post `action` with the control's newest value when a user changes it, not when the program does."""

    @handle.on_update
    def _(event) -> None:
        if event.client is not None:
            post(lambda: action(handle.value))


def on_press(button, post: Post, action: Callable[[], None]) -> None:
    """Post `action` when a user presses the button."""

    @button.on_click
    def _(event) -> None:
        post(action)


class Mirror:
    """Lets controls show the stage. Writes only what has changed there since it last wrote.

    A user's change reaches the stage a moment after the control: until then the stage still has the old value, which must
    not be written back over the new one. And what was written may reach a slow page after its user has changed the
    control: once a value has rested, it is sent again.
    """

    def __init__(self):
        self._shown: dict[tuple, object] = {}
        self._fresh: dict[tuple, float] = {}

    def show(self, handle, value, within: float = 0.0, of: str = "value") -> None:
        """Let property `of` of a control be `value`; a number that it has, give or take `within`, is left alone."""
        key, now = (id(handle), of), time.monotonic()
        if key not in self._shown or self._shown[key] != value:
            self._shown[key], self._fresh[key] = value, now
            if not _agree(getattr(handle, of), value, within):
                setattr(handle, of, value)
        elif of == "value" and self._rested(key, now) and _agree(handle.value, value, within):
            del self._fresh[key]
            _send_again(handle)

    def _rested(self, key: tuple, now: float) -> bool:
        return now > self._fresh.get(key, math.inf) + _REST

    def forget(self) -> None:
        """Write everything at the next turn: a user asked for what could not be."""
        self._shown.clear()


def _agree(has, value, within: float) -> bool:
    return abs(has - value) <= within if within else has == value


def _send_again(handle) -> None:
    """viser sends only what differs; of two values in one message the later one counts."""
    value = handle.value
    with handle._impl.gui_api._websock_interface.atomic():
        handle.value = "" if isinstance(value, str) else type(value)(not value)
        handle.value = value


def note(text: str, colour: str = "inherit") -> str:
    """Text for add_html: whatever it holds, it is no markup."""
    escaped = html.escape(text).replace("\n", "<br>")
    return f'<div style="padding:0.2em 0.9em;font-size:0.85em;color:{colour}">{escaped}</div>'


class PosePanel:
    """Poses at a press; part, joint and three angles."""

    def __init__(self, gui: viser.GuiApi, stage: Stage, post: Post):
        self.stage = stage
        presets = gui.add_button_group("Pose", ("T-pose", "captured", "random", "canonical"))
        actions = {
            "T-pose": stage.t_pose, "captured": stage.captured_pose, "random": stage.random_pose,
            "canonical": stage.canonical,
        }  # fmt: skip

        @presets.on_click
        def _(event) -> None:
            post(actions[presets.value])

        self.part = gui.add_dropdown("Part", tuple(PARTS), initial_value=stage.part)
        self.joint = gui.add_dropdown("Joint", PARTS[stage.part], initial_value=stage.joint)
        hint = "Rotation vector relative to the parent joint, degrees"
        self.angles = [
            gui.add_slider(f"{axis} °", -180.0, 180.0, 1.0, 0.0, hint=hint) for axis in "xyz"
        ]
        reset = gui.add_button("Straighten this joint")
        on_change(self.part, post, stage.choose_part)
        on_change(self.joint, post, stage.choose_joint)
        for slider in self.angles:
            on_change(slider, post, lambda _: stage.turn([s.value for s in self.angles]))
        on_press(reset, post, lambda: stage.turn([0.0, 0.0, 0.0]))

    def refresh(self, mirror: Mirror) -> None:
        """Show the stage's joint and its angles."""
        mirror.show(self.part, self.stage.part)
        mirror.show(self.joint, tuple(PARTS[self.stage.part]), of="options")
        mirror.show(self.joint, self.stage.joint)
        for slider, angle in zip(self.angles, self.stage.angles, strict=True):
            mirror.show(slider, min(max(angle, -180.0), 180.0), within=0.6)


class ShapePanel:
    """Ten betas, or why there are none."""

    def __init__(self, gui: viser.GuiApi, stage: Stage, post: Post):
        self.stage = stage
        self.reason = gui.add_html(note(_OWN_SHAPE), visible=False)
        self.betas = [gui.add_slider(f"beta {k}", -5.0, 5.0, 0.05, 0.0) for k in range(10)]
        self.reset = gui.add_button("Shape of the subject")
        for k, slider in enumerate(self.betas):
            on_change(slider, post, lambda value, k=k: stage.shape(k, value))
        on_press(self.reset, post, stage.reset_shape)

    def refresh(self, mirror: Mirror) -> None:
        """Show the betas; grey where they have no say."""
        free = self.stage.figure.follows_shape
        mirror.show(self.reason, not free, of="visible")
        mirror.show(self.reset, not free, of="disabled")
        betas = self.stage.figure.params.betas[0].tolist()
        for slider, beta in zip(self.betas, betas, strict=True):
            mirror.show(slider, not free, of="disabled")
            mirror.show(slider, min(max(beta, -5.0), 5.0), within=0.026)


class MotionPanel:
    """Which motion, play and pause, where in it, how fast."""

    def __init__(self, gui: viser.GuiApi, stage: Stage, post: Post):
        self.stage, self.post = stage, post
        self.motion = gui.add_dropdown("Motion", tuple(stage.shelf.names))
        self.play = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY, disabled=True)
        self.frame = gui.add_slider("Frame", 0, 1, 1, 0, disabled=True)
        self.speed = gui.add_slider("Speed", *_SPEEDS, 0.1, 1.0)
        self.loop = gui.add_checkbox("Loop", stage.playback.loop)
        self.in_place = gui.add_checkbox(
            "In place", stage.in_place, hint="Keep the pelvis above one spot"
        )
        self.text = gui.add_html("")
        on_change(self.motion, post, self._choose)
        on_press(self.play, post, stage.play_or_pause)
        on_change(self.frame, post, stage.seek)
        on_change(self.speed, post, stage.set_speed)
        on_change(self.loop, post, stage.set_loop)
        on_change(self.in_place, post, stage.set_in_place)

    def refresh(self, mirror: Mirror) -> None:
        """Show where the motion is."""
        playback = self.stage.playback
        none = playback.motion is None
        mirror.show(self.motion, self.stage.motion_name)
        mirror.show(self.frame, 1 if none else max(len(playback.motion) - 1, 1), of="max")
        mirror.show(self.frame, playback.frame)
        mirror.show(self.frame, none, of="disabled")
        mirror.show(self.play, none, of="disabled")
        mirror.show(self.play, "Pause" if playback.playing else "Play", of="label")
        icon = viser.Icon.PLAYER_PAUSE if playback.playing else viser.Icon.PLAYER_PLAY
        mirror.show(self.play, icon, of="icon")
        mirror.show(self.text, note(_where(self.stage)), of="content")

    def _choose(self, name: str) -> None:
        """Say so first, read at the next turn."""
        self.stage.reading = name
        self.post(lambda: self.stage.choose_motion(name))


def _where(stage: Stage) -> str:
    playback = stage.playback
    if stage.reading:
        return f"reading {stage.reading} ..."
    if playback.motion is None:
        return "Choose a motion. More of them: --motion FILE."
    motion = playback.motion
    held = "" if motion.valid[playback.frame] else ", filled in"
    seconds, all_seconds = playback.frame / motion.fps, len(motion) / motion.fps
    return f"frame {playback.frame} of {len(motion)}, {seconds:.2f} of {all_seconds:.2f} s at {motion.fps:g}/s{held}"


class LookPanel:
    """Layers, background, floor, size and opacity of the Gaussians."""

    def __init__(self, gui: viser.GuiApi, stage: Stage, post: Post):
        self.gui, self.stage, self.post = gui, stage, post
        self.folder = gui.add_folder("Layers")
        self.layers: dict = {}
        self.background = gui.add_rgb("Background", stage.background)
        self.floor = gui.add_checkbox(
            "Floor", stage.floor, hint="Drawn where the browser draws the Gaussians"
        )
        self.size = gui.add_slider(
            "Splat size",
            0.2,
            2.0,
            0.05,
            1.0,
            hint="Factor; small ones show the Gaussians one by one",
        )
        self.opacity = gui.add_slider("Opacity", 0.05, 1.0, 0.05, 1.0, hint="Factor")
        self.detail = gui.add_slider(
            "Detail", 0.25, 1.0, 0.05, 1.0, hint="Of the window's pixels, where the server draws"
        )
        on_change(self.detail, post, lambda detail: setattr(stage, "detail", detail))
        on_change(self.background, post, lambda colour: setattr(stage, "background", tuple(colour)))
        on_change(self.floor, post, lambda shown: setattr(stage, "floor", shown))
        on_change(self.size, post, lambda size: stage.figure.look(size=size))
        on_change(self.opacity, post, lambda opacity: stage.figure.look(opacity=opacity))

    def refresh(self, mirror: Mirror) -> None:
        """A box for each layer of the avatar shown now."""
        names = self.stage.figure.avatar.layer_names
        if tuple(self.layers) != tuple(names):
            for box in self.layers.values():
                box.remove()
            with self.folder:
                self.layers = {name: self.gui.add_checkbox(name, True) for name in names}
            for box in self.layers.values():
                on_change(box, self.post, lambda _: self._choose())
        for name, box in self.layers.items():
            mirror.show(box, name in self.stage.figure.layers)

    def _choose(self) -> None:
        self.stage.figure.choose_layers([name for name, box in self.layers.items() if box.value])
