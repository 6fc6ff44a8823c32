"""Iterations, which are passes, and the optimizer's steps that gather several of them."""


def passes_of_step(runner) -> int:
    """Passes that an optimizer step gathers."""
    return getattr(runner.optim_wrapper, '_accumulative_counts', 1)


def first_pass_of_step(runner) -> int:
    """The iteration, from 0, that begins the step under way."""
    return runner.iter - runner.iter % passes_of_step(runner)
