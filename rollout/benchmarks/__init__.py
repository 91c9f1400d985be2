"""Figures that docs/benchmarks.md quotes: `make bench`, or `python -m rollout.benchmarks PART`.

``synthesis`` times the synthesis, ``peers`` whole rollouts beside the cdktf CLI and a shell loop, ``growth`` rollouts
of more and more regions. Each measurement says what the machine was busy with besides.
"""
