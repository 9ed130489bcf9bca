"""The Milvus collection: opened, recognised, checked, searched."""
