"""Uniformity, alignment, CUA and CUAXU in chunks against the float64 reference of conetheory."""

import numpy as np
import pytest

from conetheory import contrastive_uniformity, gap

torch = pytest.importorskip("torch", reason="the loss is torch's: pip install 'conetheory[empirical]'")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from empirical.contrastive_loss import clip_loss  # noqa: E402
from empirical.uniformity_loss import alignment, cross_uniformity, regularised_loss, uniformity  # noqa: E402
from tests.empirical.torch_pairs import LargestTensor, leaves, pairs, unit_rows  # noqa: E402

CHUNKS = (None, 1, 7, 30, 64)


def tangent(at):
    return (at.grad - (at.grad * at).sum(dim=1, keepdim=True) * at).detach().double().numpy()


def close(found, exact, tolerance):
    np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance * np.abs(exact).max())


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("t", [0.5, 2.0, 20.0])
def test_potentials_are_those_of_conetheory(chunk, t):
    x, y = leaves(*pairs(30, 6, 1, shift=0.5))
    expected = contrastive_uniformity.cross_uniformity_gradient(x.detach().numpy(), y.detach().numpy(), t=t)
    loss = cross_uniformity(x, y, t=t, chunk=chunk)
    loss.backward()
    assert loss.item() == pytest.approx(expected.loss, rel=1e-12)
    close(x.grad.numpy(), expected.gradient_x, 1e-12)
    close(y.grad.numpy(), expected.gradient_y, 1e-12)
    x, y = leaves(x, y)
    expected = contrastive_uniformity.uniformity_gradient(x.detach().numpy(), y.detach().numpy(), t=t)
    loss = (uniformity(x, t=t, chunk=chunk) + uniformity(y, t=t, chunk=chunk)) / 2
    loss.backward()
    assert loss.item() == pytest.approx(expected.loss, rel=1e-12)
    close(x.grad.numpy(), expected.gradient_x, 1e-12)
    close(y.grad.numpy(), expected.gradient_y, 1e-12)


@pytest.mark.parametrize(("kind", "cross"), [("CUA", 0.0), ("CUAXU", 1.0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-5)])
def test_regularised_losses_are_those_of_conetheory(kind, cross, dtype, tolerance):
    """Along the sphere: conetheory reads the distance of a pair as 2 - 2xy, and the difference is radial."""
    x, y = leaves(*pairs(40, 12, 2, dtype=dtype))
    expected = contrastive_uniformity.regularised_gradient(
        *(rows.detach().double().numpy() for rows in (x, y)), 0.01, kind=kind
    )
    loss = regularised_loss(x, y, 100.0, cross=cross, chunk=16)
    loss.backward()
    assert loss.item() == pytest.approx(expected.loss, rel=tolerance)
    close(tangent(x), expected.tangent_x, tolerance)
    close(tangent(y), expected.tangent_y, tolerance)


def test_each_weight_weighs_its_term():
    x, y = pairs(20, 5, 3)
    clip = clip_loss(x, y, 10.0)
    none = {"uniformity": 0.0, "alignment": 0.0, "cross": 0.0}
    terms = {
        "uniformity": (uniformity(x) + uniformity(y)) / 2,
        "alignment": alignment(x, y),
        "cross": cross_uniformity(x, y),
    }
    assert torch.equal(regularised_loss(x, y, 10.0, **none), clip)
    for name, term in terms.items():
        found = regularised_loss(x, y, 10.0, **none | {name: -0.3})
        torch.testing.assert_close(found, clip - 0.3 * term, rtol=1e-13, atol=1e-14)
    assert terms["alignment"].item() == pytest.approx(gap.alignment(x.numpy(), y.numpy()), rel=1e-13)
    assert terms["uniformity"].item() < 0


def test_a_sharp_potential_of_far_points_does_not_underflow():
    x = unit_rows(10, 4, 4, shift=30.0)
    found, exact = (cross_uniformity(rows, -rows, t=50.0, chunk=3) for rows in (x.float(), x))
    assert exact < -198
    assert found.item() == pytest.approx(exact.item(), rel=1e-6)


def test_nothing_of_all_pairs_is_held():
    at = leaves(*pairs(128, 4, 5, dtype=torch.float32))
    with LargestTensor() as largest:
        regularised_loss(*at, 10.0, cross=1.0, chunk=16).backward()
    assert largest.entries <= 128 * 16


class Products(TorchDispatchMode):
    """While it is entered, `count` grows by each matrix product."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm_)
        return func(*args, **(kwargs or {}))


def test_one_modality_takes_a_product_less_than_two():
    """Products s, again s for the gradient, and one sum for each modality that has one."""
    counts = []
    for rows in (leaves(*pairs(12, 5, 6)), leaves(unit_rows(12, 5, 6)) * 2):
        with Products() as products:
            cross_uniformity(*rows, chunk=12).backward()
        counts.append(products.count)
    assert counts == [4, 3]


def test_bad_input_is_named():
    x = torch.eye(3)
    with pytest.raises(ValueError, match=r"`t` must be positive, got 0"):
        uniformity(x, t=0.0)
    with pytest.raises(ValueError, match=r"`x` must have at least 2 rows, got 1"):
        uniformity(x[:1])
    with pytest.raises(ValueError, match=r"`cross` must be finite, got nan"):
        regularised_loss(x, x, 1.0, cross=float("nan"))
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(uniformity(x.requires_grad_()), x, create_graph=True)
