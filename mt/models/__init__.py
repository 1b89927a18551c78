"""The networks: attention, encoder, the two decoders, and the model made of them."""
