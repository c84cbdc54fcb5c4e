"""Objects at scattered points; the same lines run under the peers' Python, where cloud-volume and caveclient do it."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime


def points(case):
    """Look up all points, twice over with nothing cached; the peers the first few one by one, then all in one go."""
    import numpy as np

    import imageryclient as ic

    low, high = case["low"], case["high"]
    xyz = np.random.default_rng(case["seed"]).integers(low, high, (case["count"], 3))
    few = case["few"]
    look = ours if hasattr(ic.ImageryClient, "root_ids_at") else peers
    apart, together = look(case)
    yield
    roots = apart(xyz if look is ours else xyz[:few])
    yield {"step": "one by one", "sum": _sum(roots[:few]), "looked_up": len(roots)}
    roots = together(xyz)
    yield {"step": "together", "sum": _sum(roots), "looked_up": len(roots)}


def _sum(roots):
    return zlib.crc32(roots.astype("<u8").tobytes())


def ours(case):
    import imageryclient as ic

    client = ic.ImageryClient(
        segmentation_source=case["segmentation"], auth_token=case["token"], resolution=case["resolution"]
    )
    assert client.volumes

    def look(xyz):
        ic.clear_cache()
        return client.root_ids_at(xyz, timestamp=case["timestamp"])

    return look, look


def peers(case):
    import numpy as np
    from caveclient import CAVEclient
    from cloudvolume import CloudVolume

    volume = CloudVolume(case["segmentation"], mip=0, secrets=case["token"], progress=False, use_https=True)
    when = datetime.fromtimestamp(case["timestamp"], UTC)
    client = CAVEclient(
        case["datastack"], server_address=case["url"], auth_token=case["token"], write_server_cache=False
    )
    graph = client.chunkedgraph

    def apart(xyz):
        found = [volume.download_point(p, 1, mip=0, agglomerate=True, timestamp=when) for p in xyz.tolist()]
        return np.array([int(np.asarray(one).ravel()[0]) for one in found], np.uint64)

    def together(xyz):
        labels = volume.scattered_points(xyz.tolist(), mip=0, agglomerate=False)
        supervoxels = np.array([labels[p] for p in map(tuple, xyz.tolist())], np.uint64)
        return np.asarray(graph.get_roots(supervoxels, timestamp=when), np.uint64)

    return apart, together
