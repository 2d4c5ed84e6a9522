#!/usr/bin/env python3
"""One utterance in figures: `ser visualize` under another name, with the same options.

python scripts/visualize_sample.py --config spectral_crnn.yaml --row-idx 0 --save
"""

import sys

from ser.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "visualize")
    main()
