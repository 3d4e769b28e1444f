"""BERT-like encoders in bfloat16 on CPUs that multiply it fast: C++ kernels, and what calls them.

`encoder` has the class that encodes texts, `layout` turns a checkpoint into the structures of `binding`, which is the
only module that calls the library. ``docs/native.md`` describes the kernels.
"""
