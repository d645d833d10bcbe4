"""Times train.py's step for the step benchmark: each line of input is a number of steps, each line of output what each of
them took, as wall:cpu in milliseconds. The batch lies in memory as floats, so loading images costs this side nothing."""
import sys
import time

import torch
from train import Cnn, train_step

torch.set_num_threads(1)
torch.manual_seed(0)
model = Cnn(layers=int(sys.argv[1]), dropout=0)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
images, labels = torch.rand(64, 1, 28, 28), torch.randint(10, (64,))

for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        wall, cpu = time.perf_counter(), time.process_time()
        train_step(model, optimizer, images, labels)
        times.append(f"{(time.perf_counter() - wall) * 1000:.4f}:{(time.process_time() - cpu) * 1000:.4f}")
    print(*times, flush=True)
