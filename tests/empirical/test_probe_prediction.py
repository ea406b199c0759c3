"""The C-map beside what the probe measures: right where it is given, and withheld where it would not be."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.meanfield import cone_curve
from empirical.probe import probe

torch = pytest.importorskip("torch")
nn = torch.nn

from tests.empirical.networks import Custom, ResidualBlock, he_layers  # noqa: E402 (needs torch)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def cases():
    yield "relu, bias", lambda: he_layers(512, 3, gain=1.0, bias_var=0.2)
    yield "softplus", lambda: he_layers(512, 1, nn.Softplus)  # by quadrature
    yield "residual", lambda: nn.Sequential(*(ResidualBlock(256, 512) for _ in range(2)))
    yield "rms norm", lambda: nn.Sequential(*he_layers(512, 1), nn.RMSNorm(512), nn.Linear(512, 256))
    yield "layer norm", lambda: nn.Sequential(*he_layers(512, 1), nn.LayerNorm(512), nn.Linear(512, 256))


@pytest.mark.parametrize(("name", "make"), list(cases()), ids=[name for name, _ in cases()])
def test_wide_random_networks_follow_the_c_map(name, make):
    """Measured less predicted over some networks, on inputs of mean cosine near ½; the networks are the sample."""
    x = torch.randn(24, 256, generator=torch.Generator().manual_seed(1)).double() + 1
    reports = [probe(make().double(), x) for _ in range(5 if name == "softplus" else 8)]
    for blocks in zip(*(report.blocks for report in reports), strict=True):
        for measured, predicted in (
            ([b.cosine.value for b in blocks], [b.predicted_cosine.value for b in blocks]),
            ([b.mean_square.value for b in blocks], [b.predicted_mean_square for b in blocks]),
        ):
            off = np.subtract(measured, predicted)
            stderr = off.std(ddof=1) / np.sqrt(len(off))
            # 1e-9: a normalisation is exact at every width but for the interpolation of what comes before it
            assert abs(off.mean()) <= 4.5 * stderr + 1e-9, (blocks[0].name, off.mean(), stderr)
        assert {b.start for b in blocks} == {"0"}


@pytest.mark.parametrize(("name", "activation", "depth"), [("relu", nn.ReLU, 3), ("sigmoid", nn.Sigmoid, 1)])
def test_orthogonal_inputs_give_the_cone_curve(name, activation, depth):
    """Points of equal norm and cosine 0: the prediction is that of `conetheory.meanfield`, to rounding."""
    model = he_layers(64, depth, activation, dim=32).double().requires_grad_(False)
    ups = [layer.in_features * float(layer.weight.square().mean()) for layer in model[::2]]
    signs = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    x = signs
    for _ in range(4):
        x = torch.kron(x, signs)
    x = x[x.sum(dim=1) == 0]  # rows of a Hadamard matrix, each of mean 0
    found = probe(model, x)
    rho, q = 0.0, 1.0
    for layer, sigma_w2 in enumerate(ups):
        curve = cone_curve(name, 1, q0=q, rho0=rho, sigma_w2=sigma_w2)
        rho, q = float(curve.rho[1]), float(curve.q[1])
        at = found.blocks[2 * layer + 1]
        assert_allclose([at.predicted_cosine.value, at.predicted_mean_square], [rho, q], rtol=1e-10)


def test_a_wrong_variance_is_seen():
    """Weights that are not centred belong to no layer of the theory: the measured cosine is far off."""
    model = he_layers(768, 1)
    with torch.no_grad():
        model[0].weight.add_(0.05)
    x = torch.randn(24, 256) + 1
    at = probe(model, x).blocks[1]
    assert abs(at.cosine.value - at.predicted_cosine.value) > 0.1


def test_prediction_starts_again_after_a_block_without_one():
    model = nn.Sequential(*he_layers(512, 1), nn.BatchNorm1d(512), *he_layers(512, 1, dim=512))
    found = probe(model, torch.randn(30, 256))
    assert [b.start for b in found.blocks] == ["0", "0", None, "3", "3"]
    assert "BatchNorm1d" in found.blocks[2].reason
    assert found.blocks[4].predicted_cosine is not None


def test_prediction_runs_on_only_where_one_block_feeds_the_next():
    found = probe(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), torch.randn(9, 8), blocks=["0", "2"])
    assert [b.start for b in found.blocks] == ["0", "2"]


def test_an_activation_of_raw_inputs_has_no_prediction():
    found = probe(nn.Sequential(nn.ReLU()), torch.randn(10, 8)).blocks[0]
    assert "Gaussian" in found.reason


def test_sums_that_are_not_independent_have_none():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x):
            x = self.layer(x)
            return x + torch.relu(x)

    class Shared(Twice):
        def forward(self, x):
            return self.layer(torch.tanh(self.layer(x)))

    x = torch.randn(10, 16)
    assert "independent" in probe(nn.Sequential(Twice()), x).blocks[0].reason
    assert "twice" in probe(nn.Sequential(Shared()), x).blocks[0].reason


def test_means_over_tokens_pass_linear_maps_only():
    model = nn.Sequential(nn.Linear(16, 512), nn.ReLU())
    x = torch.randn(10, 4, 16)
    pooled, each = probe(model, x), probe(model, x, tokens="each")
    assert pooled.blocks[0].predicted_cosine is not None
    assert "mean over tokens" in pooled.blocks[1].reason
    assert each.blocks[1].predicted_cosine is not None


def dense(n, m):
    return nn.Linear(n, m, bias=False)


def drop_activation(self, x):
    h = self.up(x)
    torch.nn.functional.relu(h, inplace=True)
    return self.down(h)


def drop_sum(self, x):
    h = self.up(x)
    h.add_(self.down(torch.relu(h)))
    return h


def sum_of_what_was_changed(self, x):
    return x + self.down(self.act(x))


@pytest.mark.parametrize("forward", [drop_activation, drop_sum, sum_of_what_was_changed])
def test_a_change_in_place_of_what_is_used_again_has_no_prediction(forward):
    """The graph shows the name as it was before the change."""
    part = Custom(forward, up=dense(32, 32), down=dense(32, 32), act=nn.ReLU(inplace=True))
    found = probe(nn.Sequential(dense(16, 32), part), torch.randn(9, 16)).blocks[1]
    assert "in place" in found.reason


def test_a_change_in_place_of_what_is_not_used_again_is_followed():
    def forward(self, x):
        x += self.down(self.act(self.up(x)))
        return x

    parts = {"up": dense(32, 64), "down": dense(64, 32), "act": nn.ReLU(inplace=True)}
    plain = Custom(lambda self, x: x + self.down(torch.relu(self.up(input=x))), **parts)
    first, x = dense(16, 32), torch.randn(9, 16)
    a, b = (probe(nn.Sequential(first, part), x).blocks[1] for part in (Custom(forward, **parts), plain))
    assert a.predicted_cosine == b.predicted_cosine
    assert a.start == b.start == "0"
    assert_allclose(a.cosine.value, b.cosine.value, rtol=1e-6)


def test_a_change_in_place_between_blocks_starts_the_prediction_again():
    def forward(self, x):
        x = self.a(x)
        x.add_(5.0)
        return self.b(x)

    found = probe(Custom(forward, a=nn.Linear(8, 64), b=dense(64, 64)), torch.randn(9, 8), blocks=["a", "b"])
    assert [b.start for b in found.blocks] == ["a", "b"]
    assert found.blocks[1].predicted_cosine.value > 0.9


def test_a_norm_with_another_gain_is_not_taken_for_rms_norm():
    class PlusOneRMSNorm(nn.RMSNorm):  # Gemma's gain is 1 + weight
        def forward(self, x):
            return x + super().forward(x)

    class OwnRMSNorm(PlusOneRMSNorm):
        forward = nn.RMSNorm.forward

    other, same = (
        probe(nn.Sequential(kind(16)), torch.randn(9, 16)).blocks[0] for kind in (PlusOneRMSNorm, OwnRMSNorm)
    )
    assert other.predicted_cosine is None
    assert_allclose(same.predicted_cosine.value, same.cosine.value, atol=1e-6)


def test_numbers_of_tokens_may_differ_between_batches():
    batches = [torch.randn(4, 3, 8), torch.randn(4, 5, 8)]
    model = nn.Sequential(nn.Linear(8, 16))
    assert probe(model, batches).blocks[0].predicted_cosine is not None
    each = probe(model, batches, tokens="each").blocks[0]
    assert "number of tokens" in each.reason
    assert -1 < each.cosine.value < 1


def test_dense_layers_on_feature_maps_have_none():
    """Their last axis is not the axis of channels."""
    found = probe(nn.Sequential(nn.Linear(6, 9)), torch.randn(7, 3, 5, 6)).blocks[0]
    assert "feature map" in found.reason


def test_reference_inputs_and_the_error_of_taking_some():
    model, x = he_layers(256, 1), torch.randn(200, 256) + 0.5
    some, all_ = probe(model, x, max_reference=20), probe(model, x, max_reference=200)
    assert (some.n_reference, all_.n_reference) == (20, 200)
    a, b = some.blocks[1].predicted_cosine, all_.blocks[1].predicted_cosine
    assert b.stderr == 0
    assert 0 < abs(a.value - b.value) < 4.5 * a.stderr
