"""Patient groups: k-means on a network's latent space, and a fixed space in which groupings can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import ThreadpoolController, threadpool_limits

from m3h.core import seeds

#: Dimensions of the fixed space: principal components of the scaled inputs of the training rows.
FIXED_WIDTH = 50


@dataclass(frozen=True)
class FixedSpace:
    """Principal components of the scaled inputs; the same for every network of a fold. mean (inputs,), components
    (dimensions, inputs)."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @staticmethod
    def fit(flat: NDArray[np.float32], seed: int) -> FixedSpace:
        """Fit on the training rows' scaled inputs (row, inputs). One thread: the same bytes on every run."""
        width = min(FIXED_WIDTH, flat.shape[1], len(flat))
        with threadpool_limits(limits=1):
            pca = PCA(width, svd_solver="randomized", random_state=seeds.small(seed, "fixed space")).fit(flat)
        return FixedSpace(pca.mean_.astype(np.float32), pca.components_.astype(np.float32))

    def place(self, flat: NDArray[np.float32]) -> NDArray[np.float64]:
        """Rows (row, inputs) in the fixed space (row, dimensions)."""
        with _pools().limit(limits=1):
            return np.asarray((flat - self.mean) @ self.components.T, dtype=np.float64)


@cache
def _pools() -> ThreadpoolController:
    """Looked for once: to look takes longer than to place a patient."""
    return ThreadpoolController()


def centres(latents: Sequence[NDArray[np.float32]], clusters: Sequence[int], seed: int) -> list[NDArray[np.float32]]:
    """k-means centres (clusters, token width) of the training rows' latents, of each network's; fewer if there are
    fewer rows. Networks go side by side, each in one thread: the same bytes with any number of threads."""
    with threadpool_limits(limits=1), ThreadPoolExecutor(torch.get_num_threads(), initializer=_one_thread) as pool:
        return list(pool.map(lambda latent, count: _centres(latent, count, seed), latents, clusters))


def _centres(latent: NDArray[np.float32], clusters: int, seed: int) -> NDArray[np.float32]:
    fitted = KMeans(
        n_clusters=min(clusters, len(np.unique(latent, axis=0))),
        n_init=10,
        random_state=seeds.small(seed, "k-means"),
    ).fit(latent)
    return np.asarray(fitted.cluster_centers_, dtype=np.float32)


def _one_thread() -> None:
    threadpool_limits(limits=1)  # OpenMP's limit is each thread's own; it ends with the thread


def assign(latent: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest centre of each row (row,); the first of equally near ones."""
    distance = np.square(latent.astype(np.float64)[:, None] - centre.astype(np.float64)[None]).sum(-1)
    return np.asarray(distance.argmin(1), dtype=np.int64)
