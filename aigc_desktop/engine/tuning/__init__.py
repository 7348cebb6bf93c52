"""Fine-tuning of published language models: what is learned, the training, and using the result."""
