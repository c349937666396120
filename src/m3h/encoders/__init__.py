"""Encoders: a source in, a block of numbers out. One file per modality, and one per pretrained encoder."""

import os

# Intel's MKL rounds by the number of threads unless it is told not to before its first product. Who has set a mode
# keeps it.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
