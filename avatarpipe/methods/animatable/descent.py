"""Adam on the parameters of an animatable model, a step size for each kind, all of it carried over a restart."""

import torch

from avatarpipe.methods.animatable.networks import GROUP
from avatarpipe.methods.animatable.settings import Rates

BETAS, EPSILON = (0.9, 0.999), 1e-15
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_BY_EXTENT = ("controls", "control_bases")


def camera_extent(w2c: torch.Tensor, measured: str) -> float:
    """1.1 times the largest distance from their mean, metres, of camera centres or of the translations of w2c (C, 4, 4).

    measured: "centres", or "w2c_translations" for the published step sizes, which were found with these.
    """
    places = w2c[:, :3, 3].double()
    if measured == "centres":
        places = -(w2c[:, :3, :3].double().transpose(1, 2) @ places[..., None])[..., 0]
    return 1.1 * float((places - places.mean(dim=0)).norm(dim=1).max())


class Descent:
    """Fused AdamW in which only the networks decay. A parameter without gradient keeps its value and its step count."""

    def __init__(self, parameters: dict[str, torch.Tensor], rates: Rates, extent: float):
        self.parameters, self.rates, self.extent = parameters, rates, extent
        for parameter in parameters.values():
            parameter.requires_grad_()
        by_kind: dict[str, list[torch.Tensor]] = {}
        for name, parameter in parameters.items():
            by_kind.setdefault(name.split(".")[0], []).append(parameter)
        groups = [self._group(kind, members) for kind, members in by_kind.items()]
        self.optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=EPSILON, fused=True)

    def _group(self, kind: str, members: list[torch.Tensor]) -> dict:
        decay = self.rates.networks_decay if kind == GROUP else 0.0
        return {"params": members, "kind": kind, "weight_decay": decay, "lr": 0.0}

    def rate(self, kind: str, progress: float) -> float:
        """The step size of a kind of parameter at `progress` in [0, 1] of the training."""
        first, factor = getattr(self.rates, kind), getattr(self.rates, f"{kind}_final")
        return first * factor**progress * (self.extent if kind in _BY_EXTENT else 1.0)

    def step(self, progress: float) -> None:
        """One step with the sizes that hold at `progress`; gradients are dropped."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(group["kind"], progress)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything `restore` needs, flat."""
        flat = {f"parameters.{name}": value.detach() for name, value in self.parameters.items()}
        for name, parameter in self.parameters.items():
            moments = self.optimizer.state.get(parameter, {})
            flat |= {
                f"{moment}.{name}": moments[moment] for moment in _MOMENTS if moment in moments
            }
        return flat

    @torch.no_grad()
    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over a `state`: the descent goes on as if it had never stopped."""
        for name, parameter in self.parameters.items():
            parameter.copy_(state[f"parameters.{name}"])
            moments = {m: state[f"{m}.{name}"].clone() for m in _MOMENTS if f"{m}.{name}" in state}
            self.optimizer.state.pop(parameter, None)
            if moments:
                self.optimizer.state[parameter] = moments
