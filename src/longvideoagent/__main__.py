"""``python -m longvideoagent``, and so ``torchrun -m longvideoagent``, is the command ``lva``."""

from longvideoagent.cli.main import main

if __name__ == "__main__":
    main()
