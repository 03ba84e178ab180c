"""Who may connect, and what travels: the wire without a browser, and the command from start to Ctrl-C."""

import json
import os
import pickletools
import re
import signal
import socket
import subprocess
import sys
import threading

import msgspec
import pytest
import viser
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from avatarpipe.errors import InputError
from avatarpipe.steps import view
from avatarpipe.viewer import panels
from avatarpipe.viewer.follow import Follower
from avatarpipe.viewer.motions import MotionShelf
from avatarpipe.viewer.server import is_loopback, is_own_page, start_server, stop_server, url
from avatarpipe.viewer.viewer import Viewer

PROTOCOL = f"viser-v{viser.__version__}"


@pytest.fixture
def viewer(stage, results):
    server = start_server("127.0.0.1", 0)
    yield Viewer(server, stage, "browser", Follower(results))
    stop_server(server)


def messages(frame: bytes) -> list[dict]:
    """The msgpack part of a frame, which must be all there is but for the arrays it announces."""
    size, packed = (int.from_bytes(frame[k : k + 8], "little") for k in (0, 8))
    text = zstandard.ZstdDecompressor().decompress(frame[16 : 16 + packed])
    assert len(text) == size
    content = msgspec.msgpack.decode(text)
    end = 16 + packed
    for length in content["binaryBufferLengths"]:
        end += -end % 8 + length
    assert end == len(frame)
    return content["messages"]


def address(server: viser.ViserServer) -> str:
    return f"ws://127.0.0.1:{server.get_port()}"


def received(server: viser.ViserServer, until: str) -> list[tuple[bytes, list[dict]]]:
    frames = []
    with connect(address(server), subprotocols=[PROTOCOL], max_size=None) as client:
        while not frames or until not in {m["type"] for _, some in frames for m in some}:
            frame = client.recv(timeout=20)
            frames.append((frame, messages(frame)))
    return frames


def test_what_travels_is_msgpack_and_no_pickle(viewer):
    viewer.turn()
    frames = received(viewer.server, "GaussianSplatsMessage")
    names = {message["type"] for _, some in frames for message in some}
    assert {"GuiSliderMessage", "GuiDropdownMessage", "GaussianSplatsMessage"} <= names
    for frame, _ in frames:
        for start in (0, 16):
            with pytest.raises(ValueError):
                list(pickletools.genops(frame[start:]))


def test_pages_of_others_are_refused(viewer):
    origins = {None: True, "http://localhost:9": True, "http://evil.example": False, "null": False}
    for origin, welcome in origins.items():
        with connect(address(viewer.server), origin=origin, subprotocols=[PROTOCOL]) as client:
            if welcome:
                assert messages(client.recv(timeout=20))
            else:
                with pytest.raises(ConnectionClosed, match="its own page"):
                    client.recv(timeout=20)


def test_nobody_can_ask_for_a_tunnel(viewer, monkeypatch):
    monkeypatch.setattr(viser.ViserServer, "request_share_url", lambda self: pytest.fail("asked"))
    with connect(address(viewer.server), subprotocols=[PROTOCOL]) as client:
        client.recv(timeout=20)
        client.send(msgspec.msgpack.encode({"type": "ShareUrlRequest"}))
        client.send(msgspec.msgpack.encode({"type": "ShareUrlDisconnect"}))
        _shown(viewer, "still here")
        client.recv(timeout=20)
    handlers = viewer.server._websock_server._incoming_handlers
    assert not [kind for kind in handlers if "Share" in kind.__name__]


@pytest.mark.parametrize(
    ("origin", "host", "bound", "welcome"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", True),
        ("http://[::1]:8080", "[::1]:8080", "::1", True),
        ("http://localhost:9000", "localhost:9000", "127.0.0.1", True),  # by ssh -L
        ("http://rebound.example:8080", "rebound.example:8080", "127.0.0.1", False),
        ("http://box:8080", "box:8080", "0.0.0.0", True),
        ("http://evil.example", "box:8080", "0.0.0.0", False),
        ("null", "box:8080", "0.0.0.0", False),
    ],
)
def test_own_pages(origin, host, bound, welcome):
    assert is_own_page(origin, host, bound) == welcome


def test_addresses():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.0.1", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "box")))
    assert url("::1", 80) == "http://[::1]:80"
    assert url("0.0.0.0", 80) == f"http://{socket.gethostname()}:80"


def test_an_address_that_cannot_be_bound_is_one_clear_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}: in use on 127.0.0.1"):
            start_server("127.0.0.1", port)
    with pytest.raises(InputError, match=r"--host 192\.0\.2\.1: cannot be bound"):
        start_server("192.0.2.1", 0)
    with pytest.raises(InputError, match=r"--host no\.such\.host\.invalid"):
        start_server("no.such.host.invalid", 0)
    with pytest.raises(InputError, match="65535"):
        start_server("127.0.0.1", 65536)


def test_a_failure_is_told_and_the_viewer_goes_on(viewer, monkeypatch):
    viewer.post(lambda: viewer.stage.choose_motion("gone.npz"))
    viewer.post(lambda: 1 / 0)
    viewer.turn()
    viewer.turn()
    assert viewer.stage.problem.startswith("ZeroDivisionError")
    viewer.post(viewer.stage.t_pose)
    viewer.turn()
    assert viewer.stage.problem == "" and not viewer.stage.figure.params.full_pose.any()
    assert "&lt;b&gt;" in _shown(viewer, "<b>")


def test_a_failure_that_lasts_is_told_once(viewer, monkeypatch, caplog):
    monkeypatch.setattr(viewer.renderer, "draw", lambda *_: [].pop())
    for _ in range(5):
        viewer.turn()
    assert caplog.text.count("IndexError") == 1 and "IndexError" in viewer.status.content


def _shown(viewer: Viewer, status: str) -> str:
    viewer.stage.status = status
    viewer._refresh()
    return viewer.status.content


def test_ctrl_c_ends_the_command(results):
    command = [sys.executable, "-m", "avatarpipe", "view", str(results), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stderr if " at http" in line)
        assert line.startswith("2 avatars at http://127.0.0.1:")
        port = int(re.search(r":(\d+),", line)[1])
        with connect(f"ws://127.0.0.1:{port}", subprotocols=[PROTOCOL]) as client:
            assert messages(client.recv(timeout=20))
    finally:
        process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert error.splitlines()[-1] == "stopped" and "Traceback" not in error


def test_binding_elsewhere_is_warned_of_and_sigterm_ends_it(results, caplog):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    timer = threading.Timer(2.0, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with caplog.at_level("INFO"):
        timer.start()
        view.run(view.View(results / "zoe", port=0, host="0.0.0.0", renderer="server"))
    assert "no password" in caplog.text and "1 avatar at" in caplog.text
    assert "drawn by the server" in caplog.text and "stopped" in caplog.text
    assert handlers == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


def test_errors_of_the_command(tmp_path, results, capsys):
    (tmp_path / "render").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words, said in {
            (tmp_path,): "no avatar here",
            (results, "--motion", "nowhere.npz"): "nowhere.npz: no such file",
            (results, "--port", port): f"--port {port}: in use",
        }.items():
            with pytest.raises(SystemExit) as ended:
                view.main([*map(str, words)])
            assert ended.value.code == 2 and said in capsys.readouterr().err


def test_the_catalogue_of_icons_and_tabs_is_in_the_page(viewer):
    viewer.turn()
    text = json.dumps(
        [m for _, some in received(viewer.server, "GaussianSplatsMessage") for m in some],
        default=str,
    )
    for name in ("T-pose", "Motion", "beta 9", "outer", "Save picture"):
        assert name in text


def test_what_a_user_just_changed_is_not_written_over(viewer):
    """The page has told the control, but the action is not yet with the stage when the panels are refreshed."""
    look = viewer.panels[-1]
    box = look.layers["outer"]
    box._impl.value = False  # as viser does when the page says so
    viewer._refresh()
    assert box.value is False
    look._choose()
    viewer._refresh()
    assert viewer.stage.figure.layers == ("inner",) and box.value is False
    viewer.post(lambda: viewer.stage.figure.choose_layers(("inner", "outer")))
    viewer.turn()
    assert box.value is True


def test_a_value_that_rests_is_sent_again(viewer, monkeypatch):
    """What the program wrote may have reached the page after its user's change: then both would differ for good."""
    sent, clock = [], [100.0]
    monkeypatch.setattr(panels.time, "monotonic", lambda: clock[0])
    frame, mirror = viewer.panels[1].frame, panels.Mirror()
    queue = viewer.server._websock_server.queue_message
    monkeypatch.setattr(
        viewer.server._websock_server, "queue_message", lambda m: (sent.append(m), queue(m))
    )
    mirror.show(frame, 7)
    frame._impl.value = 9  # the user, before the 7 has arrived
    clock[0] = 101.0
    mirror.show(frame, 7)  # the stage does not know yet
    assert [m.updates["value"] for m in sent] == [7] and frame.value == 9
    for clock[0] in (101.1, 101.3, 102.0, 103.0):
        mirror.show(frame, 9)
    assert sent[-1].updates["value"] == 9 and len(sent) == 3 and frame.value == 9


def test_what_cannot_be_is_taken_back(viewer, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"no motion")
    viewer.stage.shelf = MotionShelf((str(tmp_path / "bad.npz"),), tmp_path)
    motion = viewer.panels[1].motion
    motion.options = tuple(viewer.stage.shelf.names)
    motion._impl.value = "bad.npz"
    viewer.post(lambda: viewer.panels[1]._choose(motion.value))
    viewer.turn()
    assert "reading bad.npz" in viewer.panels[1].text.content
    viewer.turn()
    assert "reading" not in viewer.panels[1].text.content
    assert "bad.npz" in viewer.stage.problem and "bad.npz" in viewer.status.content
    assert motion.value == "no motion"
