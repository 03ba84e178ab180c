"""Trainable surfels: raw parameters, their activations, their Adam optimiser, and growing or shrinking both together."""

from dataclasses import dataclass

import torch

from avatarpipe.gaussians.cloud import GaussianCloud

SH_DC = 0.28209479177387814  # Y_00, real spherical harmonics
NAMES = ("means", "quats", "log_scales", "opacity_logits", "sh_dc")
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class LearningRates:
    """Adam step sizes of the raw parameters (3DGS, section 7.1 and its code)."""

    means: float = 1.6e-4
    means_final: float = 1.6e-6
    quats: float = 1e-3
    log_scales: float = 5e-3
    opacity_logits: float = 5e-2
    sh_dc: float = 2.5e-3

    def at(self, name: str, progress: float) -> float:
        """The rate of parameter `name`; that of means falls log-linearly with `progress` in [0, 1]."""
        if name != "means":
            return getattr(self, name)
        return self.means * (self.means_final / self.means) ** progress


class TrainableSurfels:
    """N surfels in canonical space under optimisation.

    Raw parameters: means (N, 3) metres, quats (N, 4) wxyz, log_scales (N, 2) of metres, opacity_logits (N,),
    sh_dc (N, 3) with sRGB = 0.5 + SH_DC * sh_dc.
    """

    def __init__(self, raw: dict[str, torch.Tensor], rates: LearningRates):
        self.rates = rates
        self._rebuild(raw, state={})

    @staticmethod
    def from_cloud(cloud: GaussianCloud, rates: LearningRates) -> "TrainableSurfels":
        """Trainable parameters whose activations are the tensors of `cloud`."""
        raw = {
            "means": cloud.means,
            "quats": torch.nn.functional.normalize(cloud.quats, dim=1),
            "log_scales": cloud.scales[:, :2].clamp_min(1e-6).log(),
            "opacity_logits": cloud.opacities.clamp(1e-4, 1 - 1e-4).logit(),
            "sh_dc": (cloud.colors - 0.5) / SH_DC,
        }
        return TrainableSurfels({k: v.detach().clone() for k, v in raw.items()}, rates)

    def __len__(self) -> int:
        return len(self.raw["means"])

    @property
    def means(self) -> torch.Tensor:
        """(N, 3) canonical centres."""
        return self.raw["means"]

    def cloud(self) -> GaussianCloud:
        """The activated surfels, in canonical space, differentiable."""
        return GaussianCloud(
            self.raw["means"],
            self.raw["quats"],
            self.raw["log_scales"].exp(),
            self.raw["opacity_logits"].sigmoid(),
            (0.5 + SH_DC * self.raw["sh_dc"]).clamp_min(0.0),
        )

    def step(self, progress: float) -> None:
        """One Adam step with the rates that hold at `progress` in [0, 1] of the training; clears gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates.at(group["name"], progress)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def limit_scales(self, largest: float) -> None:
        """Clip both standard deviations to `largest` metres."""
        self.raw["log_scales"].clamp_(max=float(torch.tensor(largest).log()))

    @torch.no_grad()
    def limit_colors(self) -> None:
        """Keep every colour within sRGB's [0, 1]: what no view sees cannot glow."""
        self.raw["sh_dc"].clamp_(-0.5 / SH_DC, 0.5 / SH_DC)

    @torch.no_grad()
    def limit_opacities(self, largest: float) -> None:
        """The opacity reset of 3DGS: none above `largest`; the moments of the opacities start anew."""
        self.raw["opacity_logits"].clamp_(max=float(torch.tensor(largest).logit()))
        for moment in self._state("opacity_logits").values():
            moment.zero_()

    @torch.no_grad()
    def rearrange(self, kept: torch.Tensor, added: dict[str, torch.Tensor]) -> None:
        """Keep the surfels at the indices `kept` with their moments, then append `added` with moments of zero."""
        state = {
            name: {
                moment: torch.cat([value[kept], torch.zeros_like(added[name])])
                for moment, value in self._state(name).items()
            }
            for name in NAMES
        }
        raw = {name: torch.cat([self.raw[name][kept], added[name]]) for name in NAMES}
        self._rebuild(raw, state)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything a checkpoint needs, flat: raw parameters, Adam moments and Adam's step count."""
        flat = {f"raw.{name}": self.raw[name].detach() for name in NAMES}
        for name in NAMES:
            flat |= {f"{moment}.{name}": value for moment, value in self._state(name).items()}
        return flat | {"adam_step": torch.tensor(float(self._adam_step))}

    @staticmethod
    def from_state(flat: dict[str, torch.Tensor], rates: LearningRates) -> "TrainableSurfels":
        """The inverse of `state`: training goes on as if it had never stopped."""
        surfels = TrainableSurfels({name: flat[f"raw.{name}"] for name in NAMES}, rates)
        surfels._adam_step = float(flat["adam_step"])
        if surfels._adam_step:
            state = {n: {m: flat[f"{m}.{n}"] for m in _MOMENTS} for n in NAMES}
            surfels._rebuild({name: flat[f"raw.{name}"] for name in NAMES}, state)
        return surfels

    _adam_step: float = 0.0

    def _state(self, name: str) -> dict[str, torch.Tensor]:
        state = self.optimizer.state.get(self.raw[name], {})
        if "step" in state:
            self._adam_step = float(state["step"])
        return {moment: state[moment] for moment in _MOMENTS if moment in state}

    def _rebuild(self, raw: dict[str, torch.Tensor], state: dict) -> None:
        self.raw = {name: raw[name].detach().clone().requires_grad_() for name in NAMES}
        device = self.raw["means"].device
        groups = [{"params": [self.raw[name]], "name": name, "lr": 0.0} for name in NAMES]
        self.optimizer = torch.optim.Adam(groups, eps=1e-15, fused=True)
        for name, moments in state.items():
            if moments:
                step = torch.tensor(self._adam_step, device=device)
                self.optimizer.state[self.raw[name]] = {"step": step, **moments}
