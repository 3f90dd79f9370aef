"""The denoising diffusion model of the paper: guided-diffusion's, on diffusers' network.

    UNetSettings --network--> UNet --loss--> per image, from 8-bit images and times
                               |
    Diffusion --schedule-------+--sampling (Sampler)--> 8-bit images, a seed for each

- `settings`: what a network, a diffusion and a sampler are; `presets`: named ones. Pure data.
- `network`: diffusers' ``UNet2DModel`` so configured that it equals guided-diffusion's network.
- `schedule`: noise levels in float64, and diffusers' schedulers on them.
- `loss`, `sampling`: one training loss, and images from noise.
- `training`: the loop; it goes on where it was interrupted.
- `importing`: checkpoints of guided-diffusion and improved-diffusion.

The network predicts the noise, the loss is its plain mean squared error, the variance is fixed
(the larger of the two usual ones). Learned variances are not supported.
"""
