"""See the modules of this package; the seam, where there is one, is in base.py."""
