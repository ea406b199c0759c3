"""How fast the kernels are on this machine: beside the plain route to the same numbers, and beside its limits."""
