"""From a hospital's tables to rows aligned with samples, and to labels."""
