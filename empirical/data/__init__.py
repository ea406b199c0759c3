"""Image-caption pairs: drawn, shipped with scikit-learn, or from the reader's files; batches of them, in a fixed order.

Every source of pairs has the same few methods (`pairs.PairSource`); `sources.open_source` makes one by its name and
`loader.batches` runs through it. Nothing here imports torch or reaches the network.
"""
