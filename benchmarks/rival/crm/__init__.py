"""The model whose saves tell."""
