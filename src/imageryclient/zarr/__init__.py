"""Zarr 2, Zarr 3 and N5 arrays, and OME-Zarr and N5 pyramids of them: metadata and plans, nothing is fetched.

- `arrays`: the metadata of one array: its grid of chunks, what they are called, how they are encoded.
- `codings`: how tensorstore is to decode one chunk that stands alone.
- `decoding`: the bytes of a chunk into voxels, by tensorstore.
- `shards`: where an inner chunk lies within a shard of Zarr 3.
- `multiscales`, `n5groups`: which arrays are the scales of one volume, and where each lies.
- `units`: lengths in nm.
- `choice`: what a source chooses: an array, a channel, a resolution that the metadata leave out.
- `grids`: which chunks a box touches, axes by name.

Zarr is specified at https://zarr-specs.readthedocs.io, N5 at https://github.com/saalfeldlab/n5, OME-Zarr at
https://ngff.openmicroscopy.org.
"""

__all__: list[str] = []
