"""The relational store (OPT-01): Aurora MySQL as a global database, a stack of its own in the data layer.

`tripoint promote` makes another region's cluster the writer; see the layer's README.
"""
