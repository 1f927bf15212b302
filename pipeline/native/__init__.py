"""MTCNN's networks in C, for speed: `make native` builds it, `nets.py` calls it."""
