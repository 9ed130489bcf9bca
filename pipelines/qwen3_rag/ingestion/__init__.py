"""Documents to passages in Milvus: only what changed is embedded and written."""
