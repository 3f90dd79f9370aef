"""StyleGAN3-t in plain PyTorch: the paper's GAN, its training and its samples.

In: random vectors; out: images in [-1, 1] of any number of channels, and the verdict of a
discriminator on them. Written from the published mathematics (Karras et al. 2021, "Alias-free
generative adversarial networks"; Karras et al. 2020, the discriminator and the augmentation), with
PyTorch's public functions alone: nothing is compiled, and the discriminator can be differentiated
twice wherever PyTorch runs.

`plan` says what every layer looks like for a choice of settings, and how many parameters there
are; `filters` designs the low-pass filters; both work without torch, and so does `presets`.
`filtered_activation` is the operation that gives the network its name: a nonlinearity between two
low-pass filters, so that it makes no aliases. `generator` and `discriminator` are the networks,
`loss` what they are trained by, `augmentation` what hides a small training set from the
discriminator, and `equivariance` measures how far the network keeps its promise.

`training` is the loop, `step_inputs` what one step of it works on, `training_state` what a
checkpoint of it holds, and `training_checks` what it refuses. `sampling` draws images of a seed.
Neither network knows classes. Nothing here is imported by an audit. Modules are imported by their
own names, so that the plan costs no torch.
"""
