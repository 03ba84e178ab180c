"""Functions compiled by torch.compile where that pays: on CUDA, which otherwise starts a kernel for every small sum."""

import logging
from collections.abc import Callable

import torch


def compiled(function: Callable, device, wanted: bool = True) -> Callable:
    """`function` compiled for CUDA; itself elsewhere, and, with one warning, where the compiler does not work.

    The first call takes seconds; it needs a C compiler on the machine. Shapes are taken as constant.
    """
    if torch.device(device).type != "cuda" or not wanted:
        return function
    return _Compiled(function)


class _Compiled:
    def __init__(self, function: Callable):
        self.plain, self.call = function, torch.compile(function, dynamic=False)

    def __call__(self, *arguments):
        try:
            return self.call(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            if self.call is self.plain:
                raise
            reason = str(error).strip().splitlines()[0]
            logging.warning("torch.compile does not work here (%s): going on without, slower", reason)
            self.call = self.plain
            return self.plain(*arguments)
