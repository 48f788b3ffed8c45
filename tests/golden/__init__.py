"""What the pipelines of transformers 4.57 said about the tiny models, and the script that asked them."""
