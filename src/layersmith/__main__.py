"""The program: ``layersmith`` or ``python -m layersmith``."""

from layersmith.cli.app import main

if __name__ == "__main__":
    main()
