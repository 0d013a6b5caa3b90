"""``make train-demo``: see ``tiny_master/demo.py``."""

from tiny_master.demo import main

if __name__ == "__main__":
    main()
