"""What a user presses and drags: controls that post to the stage and, when told, show what the stage has become."""

import html
from collections.abc import Callable

import viser

from avatarpipe.viewer.joints import PARTS
from avatarpipe.viewer.stage import Stage

Post = Callable[[Callable[[], None]], None]
_OWN_SHAPE = "This avatar keeps the shape of its subject: it was trained for that one alone."
_SPEEDS = 0.1, 3.0


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


def follow(handle, value, within: float = 0.0) -> None:
    """Let a control show `value`, unless it does, give or take `within`: what a user drags is left alone."""
    if within and abs(handle.value - value) <= within:
        return
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

    def refresh(self) -> None:
        """Show the stage's joint and its angles."""
        self.part.value = self.stage.part
        joints = tuple(PARTS[self.stage.part])
        if tuple(self.joint.options) != joints:
            self.joint.options = joints
        self.joint.value = self.stage.joint
        for slider, angle in zip(self.angles, self.stage.angles, strict=True):
            follow(slider, min(max(angle, -180.0), 180.0), within=0.6)


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

    def refresh(self) -> None:
        """Show the betas; grey where they have no say."""
        free = self.stage.figure.follows_shape
        self.reason.visible = not free
        self.reset.disabled = not free
        for slider, beta in zip(
            self.betas, self.stage.figure.params.betas[0].tolist(), strict=True
        ):
            slider.disabled = not free
            follow(slider, min(max(beta, -5.0), 5.0), within=0.026)


class MotionPanel:
    """Which motion, play and pause, where in it, how fast."""

    def __init__(self, gui: viser.GuiApi, stage: Stage, post: Post):
        self.stage = stage
        self.motion = gui.add_dropdown("Motion", tuple(stage.shelf.names))
        self.play = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY, disabled=True)
        self.frame = gui.add_slider("Frame", 0, 1, 1, 0, disabled=True)
        self.speed = gui.add_slider("Speed", *_SPEEDS, 0.1, 1.0)
        self.loop = gui.add_checkbox("Loop", stage.playback.loop)
        self.in_place = gui.add_checkbox(
            "In place", stage.in_place, hint="Keep the pelvis above one spot"
        )
        self.text = gui.add_html("")
        on_change(self.motion, post, stage.choose_motion)
        on_press(self.play, post, stage.play_or_pause)
        on_change(self.frame, post, stage.seek)
        on_change(self.speed, post, stage.set_speed)
        on_change(self.loop, post, stage.set_loop)
        on_change(self.in_place, post, stage.set_in_place)

    def refresh(self) -> None:
        """Show where the motion is."""
        playback = self.stage.playback
        self.motion.value = self.stage.motion_name
        none = playback.motion is None
        last = 1 if none else max(len(playback.motion) - 1, 1)
        if self.frame.max != last:
            self.frame.value, self.frame.max = 0, last
        self.frame.value = playback.frame
        self.play.disabled = self.frame.disabled = none
        self.play.label = "Pause" if playback.playing else "Play"
        self.play.icon = viser.Icon.PLAYER_PAUSE if playback.playing else viser.Icon.PLAYER_PLAY
        self.text.content = note(_where(playback))


def _where(playback) -> str:
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

    def refresh(self) -> None:
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
            box.value = name in self.stage.figure.layers

    def _choose(self) -> None:
        self.stage.figure.choose_layers([name for name, box in self.layers.items() if box.value])
