"""The paper's two generators, to be trained, sampled and then audited like any other.

    settings --build--> network --train--> checkpoint --sample--> 8-bit images (n, C, H, W)
       ^                                       ^
       +-- presets, by name                    +-- import of a guided-diffusion file

- `likeness.generators.presets` lists the named settings; pure data, nothing heavy is loaded.
- `likeness.generators.ddpm` is the diffusion model.
- `likeness.generators.training` is what the training of both shares: order of the data, running
  mean of the weights, folder of a run, signals, processes. Each model has a loop of its own.
- `likeness.generators.checkpoints` keeps named tensors and a record, as safetensors and JSON.

An audit never imports this package, and this package imports neither the search nor the audit:
what joins the two lies above both. Nothing here is unpickled, and importing this package, or the
presets, does not load torch; the modules that compute do.

What it does not do: it decides nothing about copies, and it does not promise that its networks are
private. Few-step deterministic samplers pull images towards the training images, so the sampler is
part of every record (`likeness.generators.ddpm.settings.Sampler`).
"""
