"""Training fleets of networks: trials in, trained networks out."""
