"""The domain: one file, one idea; every operator is one of the four kinds of `dataforge.operator`."""
