"""The probe: measured statistics, the blocks that it finds, and a model that is left as it was."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.gap import mean_cosine
from empirical._pair_sums import PairSums, cone_angle_deg
from empirical.probe import probe

torch = pytest.importorskip("torch")
nn = torch.nn

from tests.empirical.networks import Custom, he_layers  # noqa: E402 (needs torch)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


# ---- what is measured ----


def test_cosine_and_mean_square_are_those_of_conetheory():
    model, x = he_layers(32, 2, dim=10).double(), torch.randn(50, 10, dtype=torch.float64) + 0.3
    found = probe(model, x)
    assert [b.name for b in found.blocks] == ["0", "1", "2", "3"]
    rows = x
    for layer, at in zip(model, found.blocks, strict=True):
        rows = layer(rows)
        values = rows.detach().numpy()
        assert_allclose(at.cosine.value, mean_cosine(values), rtol=1e-12)
        assert_allclose(at.mean_square.value, np.mean(values**2), rtol=1e-12)
        assert_allclose(np.cos(np.radians(at.cone_angle_deg.value)) ** 2, max(at.cosine.value, 0), atol=1e-12)
    assert_allclose(found.input_cosine.value, mean_cosine(x.numpy()), rtol=1e-12)
    json.dumps(found.as_dict(), allow_nan=False)


def test_batches_and_kinds_of_input_change_nothing():
    model, x = he_layers(16, 1, dim=6).double(), torch.randn(45, 6, dtype=torch.float64)
    whole = probe(model, x, batch_size=45)
    for inputs in (x, x.numpy(), {"input": x}, [x[:10], x[10:45]], (part for part in x.split(9))):
        found = probe(model, inputs, batch_size=7)
        for a, b in zip(found.blocks, whole.blocks, strict=True):
            assert_allclose([a.cosine.value, a.cosine.stderr], [b.cosine.value, b.cosine.stderr], rtol=1e-9)
            assert_allclose(a.predicted_cosine.value, b.predicted_cosine.value, rtol=1e-9)


def test_no_batch_is_larger_than_asked():
    sizes = []

    class Watched(nn.Identity):
        def forward(self, x):
            sizes.append(len(x))
            return x

    probe(nn.Sequential(Watched()), torch.randn(23, 4), batch_size=5)
    assert sizes == [5, 5, 5, 5, 3]


@pytest.mark.parametrize(("shared", "n", "inflation"), [(1.0, 200, 1.0), (0.0, 40, 2 * 39 / 38)])
def test_jackknife_error_is_the_spread_over_draws_of_inputs(shared, n, inflation):
    """The mean of the jackknife's variances against the variance of 400 estimates. Without a common direction the
    statistic is degenerate, and the jackknife's variance is 2(n − 1)/(n − 2) times the true one.
    """
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        sums = PairSums(5)
        sums.add(0, rng.standard_normal((n, 1, 5)) + shared)
        found.append(sums.cosine())
    values = np.array([at.value for at in found])
    deviations = (values - values.mean()) ** 2
    spread, off = deviations.mean(), deviations.std() / np.sqrt(400)
    ratio = np.mean([at.stderr**2 for at in found]) / spread
    assert abs(ratio - inflation) < 4.5 * ratio * off / spread


def test_more_inputs_than_folds():
    x = np.random.default_rng(0).standard_normal((500, 1, 8)) + 0.5
    alone, together = PairSums(8), PairSums(8)
    together.add(0, x)
    for start in range(0, 500, 33):
        alone.add(start, x[start : start + 33])
    assert_allclose(together.cosine().value, mean_cosine(x[:, 0]), rtol=1e-12)
    assert_allclose(alone.cosine().stderr, together.cosine().stderr, rtol=1e-9)
    unit = x[:, 0] / np.linalg.norm(x[:, 0], axis=1, keepdims=True)
    mine = unit @ unit.sum(axis=0) / 499  # the classical error of a U-statistic of two points
    assert_allclose(together.cosine().stderr, 2 * np.std(mine, ddof=1) / np.sqrt(500), rtol=0.3)


def test_cone_angle():
    assert [cone_angle_deg(c) for c in (1.0, 0.0, -0.2)] == [0, 90, 90]


def test_tokens_first_mean_and_each():
    x = torch.randn(12, 5, 8, dtype=torch.float64) + 0.2
    model = nn.Sequential(nn.Identity())
    values = x.numpy()
    first, mean, each = (probe(model, x, tokens=tokens, batch_size=5).blocks[0] for tokens in ("first", "mean", "each"))
    assert_allclose(first.cosine.value, mean_cosine(values[:, 0]), rtol=1e-12)
    assert_allclose(mean.cosine.value, mean_cosine(values.mean(axis=1)), rtol=1e-12)
    unit = values / np.linalg.norm(values, axis=2, keepdims=True)
    cosines = np.einsum("asd,btd->abst", unit, unit)
    between = cosines[~np.eye(12, dtype=bool)].mean()
    within = np.mean([cosines[a, a][~np.eye(5, dtype=bool)].mean() for a in range(12)])
    assert_allclose([each.cosine.value, each.within.value], [between, within], rtol=1e-12)
    assert first.within is None


def test_feature_maps_are_pooled_over_positions():
    model, x = nn.Sequential(nn.Conv2d(3, 7, 3).double()), torch.randn(9, 3, 8, 8, dtype=torch.float64)
    found = probe(model, x).blocks[0]
    assert found.dim == 7
    assert_allclose(found.cosine.value, mean_cosine(model(x).mean(dim=(2, 3)).detach().numpy()), rtol=1e-12)
    assert found.predicted_cosine is None
    assert "Conv2d" in found.reason


def test_dead_points_are_counted():
    layer = nn.Linear(4, 6)
    nn.init.constant_(layer.bias, -100.0)
    found = probe(nn.Sequential(layer, nn.ReLU()), torch.randn(8, 4)).blocks[1]
    assert (found.undefined, found.cosine.value, found.cone_angle_deg.value) == (8, 0, 90)


# ---- modules in unusual places ----


def test_a_module_called_twice_is_two_blocks():
    act = nn.ReLU()
    first, second = he_layers(64, 2)[::2][0], nn.Linear(64, 64)
    found = probe(nn.Sequential(first, act, second, act), torch.randn(9, 256), blocks=nn.ReLU)
    assert [b.name for b in found.blocks] == ["1", "1 (call 2)"]


def test_weights_that_ran_before_are_not_those_of_a_new_layer():
    layer = nn.Linear(16, 16)
    twice = Custom(lambda self, x: self.layer(torch.tanh(self.layer(x))), layer=layer)
    found = probe(twice, torch.randn(9, 16), blocks="layer")
    assert [b.name for b in found.blocks] == ["layer", "layer (call 2)"]
    assert found.blocks[0].predicted_cosine is not None
    assert "twice" in found.blocks[1].reason


def test_a_module_with_two_names_runs_under_the_first():
    shared = nn.Linear(8, 8)
    model = Custom(
        lambda self, x: self.b(self.a(x)), a=nn.Sequential(shared, nn.ReLU()), b=nn.Sequential(shared, nn.Tanh())
    )
    x = torch.randn(6, 8)
    assert [b.name for b in probe(model, x).blocks] == ["a.0", "a.1", "a.0 (call 2)", "b.1"]
    assert [b.name for b in probe(model, x, blocks="b.0").blocks] == ["b.0", "b.0 (call 2)"]


def test_a_module_that_calls_itself():
    class Nested(nn.Module):
        def forward(self, x, depth=2):
            return 2 * x if depth == 0 else self(x, depth - 1) + 1

    x = torch.randn(6, 8, dtype=torch.float64)
    found = probe(nn.Sequential(Nested()), x)
    assert [b.name for b in found.blocks] == ["0", "0 (call 2)", "0 (call 3)"]
    for more, b in zip((2, 1, 0), found.blocks, strict=True):
        assert_allclose(b.cosine.value, mean_cosine(2 * x.numpy() + more), rtol=1e-12)


def test_numbers_of_words_are_no_vectors():
    found = probe(nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 4)), torch.arange(30).reshape(6, 5) % 10)
    assert found.input_cosine is None
    assert "no vectors" in found.blocks[0].reason
    assert found.blocks[1].start == "1"
    json.dumps(found.as_dict(), allow_nan=False)


def test_the_first_tensor_of_floats_is_looked_at():
    layer = nn.Linear(4, 3)
    made = Custom(lambda self, x: {"mask": torch.ones(5, dtype=torch.long), "states": (layer(x), None)}, layer=layer)
    x = torch.randn(5, 4)
    assert probe(nn.Sequential(made), x).blocks[0].cosine == probe(nn.Sequential(layer), x).blocks[0].cosine


def test_a_block_of_some_inputs_only_is_named():
    model = Custom(lambda self, x: self.late(x) if x.mean() > 0 else x, late=nn.Sequential(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match=r"late\.0 runs on 3 of the 8 inputs"):
        probe(model, [torch.ones(3, 4), -torch.ones(5, 4)])


def test_activation_in_place_is_read_in_time():
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(inplace=True)).double()
    x = torch.randn(20, 16, dtype=torch.float64)
    found = probe(model, x)
    linear = torch.nn.functional.linear(x, model[0].weight, model[0].bias).detach().numpy()
    assert_allclose(found.blocks[0].cosine.value, mean_cosine(linear), rtol=1e-12)
    assert found.blocks[1].start == "0"


# ---- the model is left as it was ----


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_modes_gradients_and_hooks_are_restored():
    model = nn.Sequential(*he_layers(8, 1, dim=4), nn.BatchNorm1d(8), nn.Dropout(0.5))
    model.train()
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.is_grad_enabled()
    found = probe(model, torch.randn(10, 4))
    assert [m.training for m in model] == [True, True, False, True]
    assert hooks_of(model) == 0
    assert torch.is_grad_enabled()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert found.blocks[3].cosine == found.blocks[2].cosine  # dropout does nothing


def test_hooks_go_when_the_model_fails():
    model = nn.Sequential(*he_layers(8, 1, dim=4), nn.Linear(9, 2)).train()
    with pytest.raises(RuntimeError):
        probe(model, torch.randn(10, 4))
    assert hooks_of(model) == 0
    assert model.training


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
def test_inputs_are_not_changed(kind):
    x = kind([[1.0, -1.0], [2.0, -3.0]])
    if isinstance(x, np.ndarray):
        x.flags.writeable = False
    probe(nn.Sequential(nn.ReLU(inplace=True)), x)
    assert x.tolist() == [[1.0, -1.0], [2.0, -3.0]]


def test_a_model_of_buffers_alone_has_a_dtype():
    model, x = nn.Sequential(nn.BatchNorm1d(4, affine=False)), torch.randn(6, 4)
    assert probe(model, x, dtype="float64").dtype == "float64"
    assert probe(model, x).dtype == "float32"


def test_another_dtype_runs_on_a_copy():
    model, x = he_layers(64, 2, dim=16), torch.randn(20, 16)
    kinds = []
    handle = model[0].register_forward_hook(lambda m, args, out: kinds.append(out.dtype))
    found = probe(model, x, dtype="bfloat16", device="cpu")
    handle.remove()
    assert (found.dtype, found.device) == ("bfloat16", "cpu")
    assert kinds == [torch.bfloat16]
    assert model[0].weight.dtype == torch.float32
    exact = probe(model, x)
    assert exact.dtype == "float32"
    assert_allclose(found.blocks[-1].cosine.value, exact.blocks[-1].cosine.value, atol=0.01)


# ---- which blocks ----


def test_blocks_by_name_pattern_and_type():
    model = nn.ModuleDict({"body": he_layers(8, 2, dim=4), "head": nn.Linear(8, 2)})
    model.forward = lambda x: model["head"](model["body"](x))
    x = torch.randn(6, 4)
    with pytest.raises(ValueError, match=r"got 'hed', the nearest is 'head'"):
        probe(model, x, blocks=["hed"])
    names = lambda **how: [b.name for b in probe(model, x, **how).blocks]  # noqa: E731
    assert names() == ["body.0", "body.1", "body.2", "body.3"]
    assert names(blocks=["head"]) == ["head"]
    assert names(blocks=["body.?", "head"]) == ["body.0", "body.1", "body.2", "body.3", "head"]
    assert names(blocks=nn.ReLU) == ["body.1", "body.3"]
    assert names(blocks=(nn.ReLU, "head")) == ["body.1", "body.3", "head"]


def test_blocks_that_do_not_run_are_told():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

        def forward(self, x):
            return self.layers[0](x)

    found = probe(Half(), torch.randn(5, 4))
    assert ([b.name for b in found.blocks], found.not_run) == (["layers.0"], ("layers.1",))


@pytest.mark.parametrize(
    ("inputs", "how", "error", "words"),
    [
        (torch.randn(5, 4), {"blocks": ["2"]}, ValueError, "blocks.*'2'"),
        (torch.randn(5, 4), {"blocks": nn.Conv2d}, ValueError, "blocks.*Conv2d"),
        (torch.randn(5, 4), {"blocks": 3}, TypeError, "blocks.*3"),
        (torch.randn(5, 4), {"tokens": "last"}, ValueError, "tokens.*last"),
        (torch.randn(5, 4), {"batch_size": 0}, ValueError, "batch_size"),
        (torch.randn(5, 4), {"dtype": "int32"}, ValueError, "dtype"),
        (torch.randn(5, 4), {"dtype": "float33"}, ValueError, "dtype.*float33"),
        (torch.randn(5, 4), {"device": "abacus"}, ValueError, "device.*abacus"),
        (torch.randn(1, 4), {}, ValueError, "two inputs"),
        (torch.full((5, 4), float("nan")), {}, ValueError, "finite"),
        ({"input": torch.randn(5, 4), "other": torch.randn(4, 4)}, {}, ValueError, "inputs"),
        (3, {}, TypeError, "inputs"),
        ([[torch.randn(5, 4), torch.zeros(5)]], {}, TypeError, "inputs.*list"),
        ([torch.randn(5, 4), torch.randn(5, 3)], {}, ValueError, "0 must have one number of units, got 4 and 3"),
        (torch.randn(5, 4), {"device": "meta"}, ValueError, "device.*meta"),
        (torch.zeros(0, 4), {}, ValueError, "inputs"),
    ],
)
def test_bad_input_is_named(inputs, how, error, words):
    with pytest.raises(error, match=words):
        probe(nn.Sequential(nn.Linear(4, 3)), inputs, **how)


def test_what_is_no_module_is_named():
    with pytest.raises(TypeError, match=r"`model`.*function"):
        probe(lambda x: x, torch.randn(5, 4))
