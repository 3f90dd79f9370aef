"""What training any of the generators needs, apart from the networks and their losses.

    (seed, step) --data_order--> rows of the image set, seeds of the noise
    weights --averages--> their running mean
    step, tensors --run_folder--> run.json, metrics.jsonl, checkpoints/step-.../
    SIGTERM, Ctrl-C --stopping--> a wish that the loop grants between two steps
    images, their classes --data, labels, augmentation--> what the record says, what a step sees
    torchrun, accelerate launch --workers--> a share of each step, sums over all processes
    checkpoint --grids, tensorboard--> something to look at
    the end of the loop, its checkpoints --outcome--> what the caller and its callbacks are told

What is drawn is a pure function of the seed and the step, so a run that goes on needs no state of
any generator of random numbers. What it does not do: it has no loop; each model has its own.
"""
