"""Parallel corpora, subword tokenizers and batches."""
