"""The same ingest over many machines: documents to shards, shards to vectors, vectors to Milvus, on any engine."""
