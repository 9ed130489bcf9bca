"""How good both stages are on a collection with judgements."""
