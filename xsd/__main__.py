"""`python -m xsd` is `xsd`."""

import sys

from xsd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
