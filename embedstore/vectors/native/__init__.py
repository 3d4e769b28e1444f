"""Compiled scans of stored vectors: C++ kernels, and `binding`, the only module that calls them."""
