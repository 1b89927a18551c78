"""A hand-written synchronous grammar of English and German, the source of the phrasebook corpus."""
