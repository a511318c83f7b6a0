"""Generator of the golden cases: numbers of torch, transformers, PEFT and bitsandbytes on the CPU."""
