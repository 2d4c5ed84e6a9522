"""Training speed: the shipped spectral CRNN against the same network in plain eager PyTorch. One thread, fp32, equal batches.

    python benchmarks/training.py [--out table.md]

The plain way: contiguous tensors, ReLU before max-pool, glibc's own memory policy. Memory policy acts on a whole process, so each way has
processes of its own; they alternate, and the table gives the median over processes. Both start from the same weights, and the losses of
their last step stand in the table. A third row adds bf16, which the shipped config uses where the processor has instructions for it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH, FRAMES, CLASSES = 32, 300, 8
DIMS = {"mel": 128, "mfcc": 40, "chroma": 12}
WAYS = ("plain", "shipped", "shipped bf16")


def measure(way: str, steps: int) -> dict[str, float]:
    """Utterances a second and the loss of the last step, in this process."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    from ser.config import ModelConfig
    from ser.features.base import FeatureShape
    from ser.models.pooling import frame_mask
    from ser.models.registry import build_model
    from ser.models.spectral_crnn import CnnBranch, ConvBlock
    from ser.system.memory import keep_memory

    def plain_block(self: ConvBlock, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.max_pool2d(self.norm(self.conv(x)).relu(), (self.time_pool, self.freq_pool))
        lengths = (lengths // self.time_pool).clamp(min=1)
        return x * frame_mask(lengths, x.shape[2])[:, None, :, None], lengths

    def plain_branch(self: CnnBranch, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.block_a(x.transpose(1, 2)[:, None].contiguous(), lengths)
        x, lengths = self.block_b(x, lengths)
        return functional.gelu(self.project(x.permute(0, 2, 3, 1).flatten(2))), lengths

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if way == "plain":
        ConvBlock.forward = plain_block  # type: ignore[method-assign]
        CnnBranch.forward = plain_branch  # type: ignore[method-assign]
    else:
        keep_memory()
    config = ModelConfig.model_validate({"spectral_crnn": {"dropout": 0.0}})
    model: nn.Module = build_model(config, {name: FeatureShape(rows, 62.5) for name, rows in DIMS.items()}, CLASSES)
    if way != "plain":
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters())
    data = torch.Generator().manual_seed(1)
    batches = [{name: torch.randn(BATCH, dim, FRAMES, generator=data) for name, dim in DIMS.items()} for _ in range(4)]
    labels = torch.randint(0, CLASSES, (4, BATCH), generator=data)
    lengths = dict.fromkeys(DIMS, torch.full((BATCH,), FRAMES))
    loss = torch.zeros(())
    start = 0.0
    warm_up = 2
    for step in range(warm_up + steps):
        if step == warm_up:
            start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=way.endswith("bf16")):
            logits = model(batches[step % 4], lengths).logits
        loss = functional.cross_entropy(logits, labels[step % 4])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return {"rate": BATCH * steps / (time.perf_counter() - start), "loss": float(loss.detach())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.steps)))
        return
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(arguments.repetitions):
        for way, found in results.items():
            command = [sys.executable, __file__, "--way", way, "--steps", str(arguments.steps)]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    rates = {way: statistics.median(result["rate"] for result in found) for way, found in results.items()}
    lines = [
        f"Batches of {BATCH} x {FRAMES} frames, three branches, one thread; median of {arguments.repetitions} processes each.",
        "",
        "| way | utterances/s | ratio to plain | loss after the last step |",
        "|---|---|---|---|",
        *(f"| {way} | {rates[way]:.1f} | {rates[way] / rates['plain']:.2f} | {results[way][0]['loss']:.5f} |" for way in WAYS),
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    if arguments.out:
        arguments.out.write_text(table)


if __name__ == "__main__":
    main()
