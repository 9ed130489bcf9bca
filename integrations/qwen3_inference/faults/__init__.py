"""What servers and clients are known to do wrong with Qwen3's models, as data: what the model then reads, in words."""
