"""Times train.py's step for the step benchmark: each line of input is a number of steps, each line of output what each of
them took, as wall:cpu in milliseconds. "peak" is answered with the core's GFLOP/s in single precision, the best of ten products of
two 1024 x 1024 matrices. The batch lies in memory as floats, so loading images costs this side nothing."""
import sys
import time

import torch
from train import Cnn, train_step

torch.set_num_threads(1)
torch.manual_seed(0)
model = Cnn(layers=int(sys.argv[1]), dropout=0)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
images, labels = torch.rand(64, 1, 28, 28), torch.randint(10, (64,))


def peak():
    one, other = torch.rand(1024, 1024), torch.rand(1024, 1024)
    times = []
    for _ in range(10):
        start = time.process_time()
        one @ other
        times.append(time.process_time() - start)
    return 2 * 1024**3 / min(times) / 1e9


for line in sys.stdin:
    if line.strip() == "peak":
        print(f"{peak():.1f}", flush=True)
        continue
    times = []
    for _ in range(int(line)):
        wall, cpu = time.perf_counter(), time.process_time()
        train_step(model, optimizer, images, labels)
        times.append(f"{(time.perf_counter() - wall) * 1000:.4f}:{(time.process_time() - cpu) * 1000:.4f}")
    print(*times, flush=True)
