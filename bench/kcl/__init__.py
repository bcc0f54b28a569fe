"""The projector on Amazon's KCL: drain and takeover."""
