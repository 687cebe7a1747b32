//! PyTorch's checkpoints: layouts behind a flatten, wrappers, and what stands beside the tensors.
