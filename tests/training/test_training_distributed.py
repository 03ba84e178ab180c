"""Several processes that train together: shares, sums and checkpoints; two real ones over gloo."""

import socket
from pathlib import Path

import pytest
import torch
from torch.multiprocessing import spawn

from avatarpipe.errors import InputError
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.distributed import Team, joined
from avatarpipe.training.loop import train

LAUNCHER = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


class Fit:
    """Descends on the squared distance to the points of an iteration, of which each process looks at its share."""

    def __init__(self, team: Team, start: float = 0.0):
        self.team, self.value = team, torch.full((3,), start, requires_grad=True)

    def step(self, step: int) -> dict:
        points = torch.randn(3, 3, generator=torch.Generator().manual_seed(step))
        own, part = self.team.share(points)
        (doubled,) = self.team.shared([2.0 * self.value])
        loss = part * (0.5 * doubled - torch.stack(own)).square().mean()
        loss.backward()
        self.value.data -= 0.1 * self.value.grad
        self.value.grad = None
        return self.team.total({"loss": loss.detach()})

    def state(self) -> dict:
        return {"value": self.value.detach(), "count": torch.tensor(3)}

    def restore(self, state: dict) -> None:
        assert int(state["count"]) == 3
        self.value.data.copy_(state["value"])


def test_shares_are_all_items_once():
    items = ["a", "b", "c", "d", "e"]
    shares = [Team(rank, 3).share(items) for rank in range(3)]
    assert shares == [(["a", "d"], 0.4), (["b", "e"], 0.4), (["c"], 0.2)]
    assert [Team(rank, 3).share(["a", "b"]) for rank in range(3)] == [
        (["a"], 0.5),
        (["b"], 0.5),
        (["a"], 0.0),
    ]
    assert Team().share(items) == (items, 1.0)


def test_alone_nothing_is_sent(monkeypatch):
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    with joined(torch.device("cpu")) as (team, device):
        values = {"loss": torch.tensor(1.0)}
        assert team == Team() and device.type == "cpu" and not torch.distributed.is_initialized()
        assert team.total(values) is values and team.found_by_the_first(None, device) is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2", "RANK": "0"}, "LOCAL_RANK, MASTER_ADDR, MASTER_PORT not set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: a number"),
    ],
)
def test_half_an_environment_is_refused(monkeypatch, variables, message):
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message), joined(torch.device("cpu")):
        pass


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def together(rank: int, port: int, folder: Path) -> None:
    """One of two processes: trains, is cut off, goes on in a new stage that starts elsewhere."""
    torch.set_num_threads(1)
    values = ("2", str(rank), str(rank), "127.0.0.1", str(port))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(LAUNCHER, values, strict=True):
            patch.setenv(name, value)
        with joined(torch.device("cpu")) as (team, device):

            def run(stage, iterations):
                checkpoints = Checkpoints(folder / "checkpoints", {"of": "both"})
                curves = train(stage, iterations, checkpoints, "fit", device, 4, 1, team=team)
                return checkpoints, curves

            checkpoints, _ = run(Fit(team), 9)
            if team.leads:  # as if killed: the files stay, the process' claim on them goes
                checkpoints._claim.close()
            resumed = Fit(team, start=5.0 + rank)
            _, curves = run(resumed, 11)
            losses = curves.table()["value"].tolist()
            torch.save({"value": resumed.value, "losses": losses}, folder / f"{rank}.pt")


def test_two_processes_do_what_one_does_and_go_on_where_they_were(tmp_path):
    spawn(together, (free_port(), tmp_path), nprocs=2)
    alone = Fit(Team())
    curves = train(alone, 11, Checkpoints(tmp_path / "alone", {}), "fit", "cpu", 100, 1)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.allclose(found["value"], alone.value, atol=1e-6)
        assert found["losses"] == pytest.approx(curves.table()["value"].tolist(), abs=1e-6)
