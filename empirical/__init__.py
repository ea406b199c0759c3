"""Real embeddings and, later, real models: reading them and measuring them."""
