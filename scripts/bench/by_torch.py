"""In PyTorch: a plain loop, and `torch.func` over an ensemble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.bench.points import BATCH, Points

__all__ = ["ensemble", "loop"]


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _net() -> Any:
    from torch import nn

    first = nn.Linear(2, 50)
    nn.init.kaiming_uniform_(first.weight, nonlinearity="relu")
    return nn.Sequential(first, nn.ReLU(), nn.Linear(50, 3)).to(_device())


def _tensors(points: Points) -> list[Any]:
    import torch

    return [torch.from_numpy(np.asarray(a, a.dtype if a.ndim > 1 else np.int64)).to(_device()) for a in points]


def loop(points: Points, epochs: int) -> Callable[[np.ndarray], np.ndarray]:
    """One network after the other with `torch.optim.SGD`, on one thread, which is fastest for so small a network."""
    import torch
    from torch.nn import functional

    x, y, x_test, y_test = _tensors(points)

    def train(rate: float) -> float:
        torch.manual_seed(0)
        net = _net()
        optimizer = torch.optim.SGD(net.parameters(), lr=rate)
        accuracy = 0.0
        for _ in range(epochs):
            for batch in torch.randperm(len(x), device=x.device).split(BATCH):
                optimizer.zero_grad()
                functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimizer.step()
            with torch.no_grad():
                logits = net(x_test)
                functional.cross_entropy(logits, y_test).item()
                accuracy = (logits.argmax(1) == y_test).float().mean().item()
        return accuracy

    def all_rates(rates: np.ndarray) -> np.ndarray:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return np.array([train(float(rate)) for rate in rates])
        finally:
            torch.set_num_threads(threads)

    return all_rates


def ensemble(points: Points, epochs: int) -> Callable[[np.ndarray], np.ndarray]:
    """All networks at once: stacked weights, `vmap(grad(loss))`, the update by hand with a rate for each."""
    import torch
    from torch.func import functional_call, grad, stack_module_state, vmap
    from torch.nn import functional

    x, y, x_test, y_test = _tensors(points)
    base = _net()

    def loss(params: Any, x: Any, y: Any) -> Any:
        return functional.cross_entropy(functional_call(base, params, (x,)), y)

    gradients = vmap(grad(loss), in_dims=(0, None, None))
    outputs = vmap(lambda params, x: functional_call(base, params, (x,)), in_dims=(0, None))

    @torch.no_grad()
    def train(rates: np.ndarray) -> np.ndarray:
        torch.manual_seed(0)
        params, _ = stack_module_state([_net() for _ in rates])
        each = torch.as_tensor(rates, dtype=torch.float32, device=x.device)
        accuracy = each
        for _ in range(epochs):
            for batch in torch.randperm(len(x), device=x.device).split(BATCH):
                grads = gradients(params, x[batch], y[batch])
                for name, value in params.items():
                    value -= each.view(-1, *[1] * (value.ndim - 1)) * grads[name]
            logits = outputs(params, x_test)
            functional.cross_entropy(logits.permute(1, 2, 0), y_test[:, None].expand(-1, len(rates)))
            accuracy = (logits.argmax(-1) == y_test).float().mean(1)
        return accuracy.cpu().numpy()

    return train
