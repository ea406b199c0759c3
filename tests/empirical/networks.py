"""Random torch networks whose infinite width is known."""

from torch import nn


def he_layers(width, depth, activation=nn.ReLU, *, dim=256, gain=2.0, bias_var=None):
    """Return dense layers of weight variance gain/fan-in, each with its activation; biases of `bias_var` a unit."""
    layers, fan_in = [], dim
    for _ in range(depth):
        layer = nn.Linear(fan_in, width, bias=bias_var is not None)
        nn.init.normal_(layer.weight, std=(gain / fan_in) ** 0.5)
        if bias_var is not None:
            nn.init.normal_(layer.bias, std=bias_var**0.5)
        layers += [layer, activation()]
        fan_in = width
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """A pre-norm block x + W₂ φ(W₁ norm(x))."""

    def __init__(self, dim, width, activation=nn.GELU):
        super().__init__()
        self.norm, self.act = nn.LayerNorm(dim), activation()
        self.up, self.down = nn.Linear(dim, width), nn.Linear(width, dim)

    def forward(self, x):
        return x + self.down(self.act(self.up(self.norm(x))))


class Custom(nn.Module):
    """A forward of one's own on some modules."""

    def __init__(self, forward, **parts):
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self._forward(self, x)
