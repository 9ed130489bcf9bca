"""Files and folders to LlamaIndex documents, and documents to passages."""
