"""ONE-PEACE (arXiv 2305.11172) in plain PyTorch; importing this package does not import torch."""
