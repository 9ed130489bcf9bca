"""A llama.cpp server in this process until it is ended: `python -m support.llama_cpp_server KIND GGUF --port N`.

KIND is "embedding", "reranker", or "mean" for an embedding model that is pooled by the mean.
"""

import sys
import time

import xllamacpp


def main(kind: str, model: str, port: int) -> None:
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.model_alias = model, {"model"}
    settings.port, settings.hostnames = port, ["127.0.0.1"]
    settings.embedding, settings.warmup = True, False
    settings.n_ctx, settings.n_parallel, settings.n_batch, settings.n_ubatch = 2048, 1, 2048, 2048
    # Its cache of keys and values is float16 by default, which moves vectors by 5e-4.
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    pooling = xllamacpp.llama_pooling_type
    settings.pooling_type = {
        "embedding": pooling.LLAMA_POOLING_TYPE_LAST,
        "mean": pooling.LLAMA_POOLING_TYPE_MEAN,
        "reranker": pooling.LLAMA_POOLING_TYPE_RANK,
    }[kind]
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[-1]))
