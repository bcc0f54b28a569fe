"""Events become rows: fold, gap repair, conditional writes, the read model's tables."""
