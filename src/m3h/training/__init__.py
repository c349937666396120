"""Training fleets of networks: trials in, trained networks out."""

import os

# Intel's MKL rounds by the number of threads unless it is told not to before its first product; in this mode it was
# as fast in every product measured. Who has set a mode keeps it.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
