"""A real kind cluster on any machine: `python -m devcluster up`.

Where images can be pulled, this is kind and a few pulls. Where they cannot, every image of `images.toml` is made here,
from Go modules and Debian packages. Standard library only: it runs before anything is installed.

Where to look (each module says more):

- `__main__` the verbs; `up` the story of bringing the cluster up; `status`, `seed`, `load`, `down` the other verbs
- `images.toml` and `catalogue` what is wanted and how it is made; `go/`, `node/`, `manifests/`, `patches/` what from
- `engine`, `capabilities`, `bounded_runc` the Docker Engine
- `store`, `golang`, `rootfs`, `layers`, `images`, `node_image` from sources to images; `tools` kind and kubectl
- `kind`, `nodes`, `addons` from images to a cluster
- `settings`, `progress`, `shell`, `errors` what they all use
"""
