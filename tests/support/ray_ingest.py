"""An ingest on Ray to be killed: `ray_ingest.py URI COLLECTION FOLDER WORK BATCHES` embeds slowly, and tells."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from qwen3_rag.config import RagConfig
from qwen3_rag.scale.files import ingest_files
from qwen3_rag.scale.ray_engine import RayEngine
from qwen3_rag.scale.settings import Embedder, Settings

from support.hashing import IDENTITY
from support.ray_cluster import local_ray, told


def main() -> None:
    uri, collection, folder, work, batches = sys.argv[1:]
    config = RagConfig(uri=uri, collection=collection, embed_model="tiny")
    settings = Settings(work, 20, embedder=Embedder(IDENTITY, partial(told, batches, 0.5)))
    with local_ray():
        print(ingest_files([folder], config, RayEngine(workers=2), settings), flush=True)


if __name__ == "__main__":
    main()
