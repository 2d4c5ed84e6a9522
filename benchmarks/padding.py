"""How much of the shipped training batches is padding.

    python benchmarks/padding.py [--config spectral_crnn.yaml]

Needs the steps extract, transform and load of that config. The batches are those of a training's first epoch.
"""

import argparse

import numpy as np

from ser.config_file import load_config
from ser.pipeline.load import read_loaded
from ser.training.batches import draw, length_buckets, padding_share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="spectral_crnn.yaml")
    config = load_config(parser.parse_args().config)
    data = read_loaded(config).dataset(config, "train")
    if data is None:
        parser.error("this benchmark needs clips in train")
    train, generator = config.train, np.random.default_rng([config.project.seed, 1])
    order = draw(data.entries, train.sampler, train.sampler_balance, generator)
    batches = length_buckets(order, data.lengths, train.batch_size, train.bucket_clips, generator)
    unsorted = [order[start : start + train.batch_size] for start in range(0, len(order), train.batch_size)]
    shares = [padding_share(way, data.lengths) for way in (batches, unsorted)]
    print(f"padding: {shares[0]:.1%} of the frames; without length buckets {shares[1]:.1%}")


if __name__ == "__main__":
    main()
