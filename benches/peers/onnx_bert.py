"""The forward pass of all-MiniLM-L6-v2 with ONNX Runtime or PyTorch, timed: what `bert.py` runs beside Regraft."""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel


class Mean(torch.nn.Module):
    """The encoder, and the mean over what counts."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, ids, mask):
        features = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        counts = mask[..., None].float()
        return (features * counts).sum(1) / counts.sum(1)


def main():
    work = json.loads(sys.argv[2])
    batch, length, threads = work["batch"], work["length"], work["threads"]
    torch.set_num_threads(threads)
    i, j = np.meshgrid(np.arange(batch), np.arange(length), indexing="ij")
    ids = 1000 + (i * 131 + j * 17) % 20000
    mask = (j < length // 4 + i * length * 3 // 4 // batch + 1).astype(np.int64)
    model = Mean(AutoModel.from_pretrained(work["folder"], attn_implementation="sdpa").eval())
    given = (torch.tensor(ids), torch.tensor(mask))
    if sys.argv[1] == "torch":
        run = lambda: model(*given).numpy()  # noqa: E731
    else:
        import onnxruntime

        path = Path(tempfile.mkdtemp()) / "minilm.onnx"
        torch.onnx.export(model, given, path, input_names=["ids", "mask"], dynamo=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        run = lambda: session.run(None, {"ids": ids, "mask": mask})[0]  # noqa: E731
    wall, processor = [], []
    with torch.inference_mode():
        total = float(np.abs(run()).sum())
        for _ in range(work["runs"]):
            started, used = time.perf_counter(), time.process_time()
            run()
            wall.append(batch / (time.perf_counter() - started))
            processor.append(batch / (time.process_time() - used))
    print(json.dumps({"name": "sum", "unit": "", "values": [total]}))
    print(json.dumps({"name": "forward", "unit": "sentences/s", "values": wall}))
    print(json.dumps({"name": "forward, of processor time", "unit": "sentences/s", "values": processor}))


if __name__ == "__main__":
    main()
