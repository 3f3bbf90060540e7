"""The numba faces of the kernels. Imported inside functions only, so that importing a kernel does not load numba."""
