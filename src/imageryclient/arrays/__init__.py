"""Arrays that a caller holds: what they say of their axes, and where they lie among the voxels of a dataset."""

__all__: list[str] = []
