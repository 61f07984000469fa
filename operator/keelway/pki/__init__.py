"""The certificates between build Jobs and buildkitd: `certificates.py` makes and judges them, without I/O.

Neighbours: `reconcile/buildkit.py` keeps the authority and the server certificate in Secrets;
`reconcile/` gives each build Job a client certificate of its own.
"""
