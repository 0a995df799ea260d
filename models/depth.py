"""The number of blocks and channels of each stage, without building a network."""

BRANCH_CONVOLUTIONS = 2  # per residual block
LAYERS_OUTSIDE_BLOCKS = 3  # per network
LAYERS_A_BLOCK = 2 * BRANCH_CONVOLUTIONS  # one block in each network of the pair
FIXED_LAYERS = 2 * LAYERS_OUTSIDE_BLOCKS  # of the pair
SMALLEST_STAGE = 4  # pixels


def num_stages(image_size: int) -> int:
    """Returns the number of stages: 4, 8, ..., image_size pixels."""
    return (image_size // SMALLEST_STAGE).bit_length()


def least_num_layers(image_size: int) -> int:
    """Returns the number of layers of a pair with one block per stage."""
    return FIXED_LAYERS + LAYERS_A_BLOCK * num_stages(image_size)


def blocks_per_stage(num_layers: int, image_size: int) -> list[int]:
    """Distributes the residual blocks of one network over its stages.

    Args:
        num_layers: Weighted layers of the pair, 2 modulo 4.
        image_size: Pixels along one side, a power of 2, at least 4.

    Returns:
        Blocks at 4, 8, ..., image_size pixels; the smallest sizes get the remainder.

    Raises:
        ValueError: If num_layers is not 2 modulo 4, or too few for a block per stage.
    """
    num_blocks, rest = divmod(num_layers - FIXED_LAYERS, LAYERS_A_BLOCK)
    stages, least = num_stages(image_size), least_num_layers(image_size)
    if rest or num_layers < least:
        raise ValueError(
            f"Expected num_layers = 2 modulo 4 and at least {least} for {stages} "
            f"stages. Received: num_layers={num_layers}, image_size={image_size}"
        )
    each, remainder = divmod(num_blocks, stages)
    return [each + (stage < remainder) for stage in range(stages)]


def channels_per_stage(
    image_size: int, base_channels: int, max_channels: int
) -> list[int]:
    """Returns the number of channels at 4, 8, ..., image_size pixels.

    It is base_channels at image_size and doubles at each halving, up to max_channels.
    """
    stages = num_stages(image_size)
    doubled = [base_channels * 2**halvings for halvings in range(stages)]
    return [min(channels, max_channels) for channels in reversed(doubled)]
