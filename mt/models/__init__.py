"""The networks: attention, encoder, the decoders, and the model made of them."""
