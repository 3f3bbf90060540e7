"""The numba faces of the kernels. Imported inside functions only, so that importing a kernel does not load numba.

They are compiled once and cached beside this file. numba notices a change of the file that a function stands in, not of
one that it calls or takes constants from: after editing one of those, delete `__pycache__/*.nb*` here.
"""
