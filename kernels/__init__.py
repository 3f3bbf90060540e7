"""Functions on Arrow buffers, each with a plain definition, a numba and where useful a CUDA face of equal bits."""
