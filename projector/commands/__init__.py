"""The operator's commands, one module each; ``projector.cli`` registers them."""
