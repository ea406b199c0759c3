"""Slow oracle for `conetheory.mismatch`: the definition, in 40 digits, one loop an index."""

import mpmath as mp


def profile_loss(images, texts, pairing, kappa):
    """Symmetric cross-entropy of the pairs (image i, text ``pairing[i]``) at the scale `kappa`."""
    with mp.workdps(40):
        lists = _margins(images, texts, pairing)
        return sum(mp.log(sum(mp.exp(kappa * margin) for margin in margins)) for margins in lists) / len(lists)


def profile_slope(images, texts, pairing, kappa):
    """Its derivative by `kappa`."""
    with mp.workdps(40):
        return _slope(_margins(images, texts, pairing), kappa)


def critical_root(images, texts, pairing, low, high):
    """Root of the slope in (`low`, `high`), where the slope changes its sign."""
    with mp.workdps(40):
        lists = _margins(images, texts, pairing)
        return mp.findroot(lambda kappa: _slope(lists, kappa), (low, high), solver="anderson", tol=1e-60)


def _slope(lists, kappa):
    total = mp.mpf(0)
    for margins in lists:
        weights = [mp.exp(kappa * margin) for margin in margins]
        total += mp.fdot(weights, margins) / sum(weights)
    return total / len(lists)


def _margins(images, texts, pairing):
    """Return, image by image, the cosines of its row less the matched one, then those of its text's column."""
    n = len(images)
    images = [_unit(row) for row in images]
    placed = [_unit(texts[pairing[i]]) for i in range(n)]
    lists = []
    for i in range(n):
        matched = mp.fdot(images[i], placed[i])
        lists.append([mp.fdot(images[i], placed[j]) - matched for j in range(n)])
        lists.append([mp.fdot(images[j], placed[i]) - matched for j in range(n)])
    return lists


def _unit(row):
    row = [mp.mpf(x) for x in row]
    norm = mp.sqrt(mp.fdot(row, row))
    return [x / norm for x in row]
