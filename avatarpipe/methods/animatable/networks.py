"""Many small networks of one shape as batched products: one weight tensor a layer for all of them."""

from itertools import pairwise

import torch

from avatarpipe.methods.animatable.products import vector_products

POSE_SIZE = 63  # axis-angle of the 21 joints of the body without root, head and hands
GROUP = "networks"


def initial_networks(
    count: int, widths: tuple[int, ...], outputs: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Weights (F, in, out) and biases (F, out) by layer, uniform within 1 / sqrt(in), as PyTorch's Linear starts."""
    sizes = (POSE_SIZE, *widths, outputs)
    layers = {}
    for index, (inputs, width) in enumerate(pairwise(sizes)):
        bound = inputs**-0.5
        for kind, shape in (("weight", (count, inputs, width)), ("bias", (count, width))):
            drawn = torch.rand(shape, generator=generator)
            layers[f"{GROUP}.{index}.{kind}"] = (2.0 * drawn - 1.0) * bound
    return layers


def evaluate(parameters: dict[str, torch.Tensor], theta: torch.Tensor) -> torch.Tensor:
    """(F, outputs) of all networks for one pose (63,): ReLU between the layers, none at the end."""
    last = sum(name.endswith(".weight") for name in parameters if name.startswith(f"{GROUP}.")) - 1
    values = theta.expand(len(parameters[f"{GROUP}.0.weight"]), -1)
    for index in range(last + 1):
        weight, bias = (parameters[f"{GROUP}.{index}.{kind}"] for kind in ("weight", "bias"))
        values = vector_products(values, weight) + bias
        values = values.relu() if index < last else values
    return values
