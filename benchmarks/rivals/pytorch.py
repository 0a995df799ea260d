"""The pair in PyTorch, and a plain step for it: fused Adam, averaged weights.

torch.compile has no double backward, so the compiled contestant computes the
discriminator with a penalty in eager mode, and all else compiled.
"""

import time
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.rivals.contestants import (
    Ready,
    average_decay,
    penalty_weight,
    random_images,
)
from benchmarks.rivals.pytorch_pair import Discriminator, Generator
from settings.config import Config
from settings.messages import Problem
from settings.optimizer import Network

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FORMATS = OrderedDict(
    contiguous=torch.contiguous_format, channels_last=torch.channels_last
)
TRIALS = 3  # of each memory format


class Step:
    """The pair with its optimizers, averaged generator and photographs.

    Attributes:
        generator: Maps float32 [batch, latent_dim] to [batch, 3, size, size].
        discriminator: Maps [batch, 3, size, size] to logits [batch, 1].
        average: The moving average of the generator.
        format: Name of the memory format.
    """

    def __init__(
        self, config: Config, is_compiled: bool, precision: str, device: str
    ) -> None:
        """Builds all, in the memory format that is faster here.

        Args:
            config: For sizes, optimizers, penalty and average.
            is_compiled: Whether to use torch.compile where it can be used.
            precision: "float32", or "bfloat16" by autocast.
            device: "cpu" or "cuda".
        """
        torch.manual_seed(config.run.seed)
        self._config, self._device, self._dtype = config, device, DTYPES[precision]
        self.generator = Generator(config).to(device)
        self.discriminator = Discriminator(config).to(device)
        self.format = self._faster_format()
        memory_format = FORMATS[self.format]
        for network in (self.generator, self.discriminator):
            network.to(memory_format=memory_format)
        self.average = AveragedModel(
            self.generator, multi_avg_fn=get_ema_multi_avg_fn(average_decay(config))
        )
        self._adams: dict[Network, torch.optim.Optimizer] = {
            "generator": build_adam(config, "generator", self.generator),
            "discriminator": build_adam(config, "discriminator", self.discriminator),
        }
        images = torch.from_numpy(random_images(config.data.image_size))
        images = images.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        self._images = images.to(device)
        self._generate, self._judge = self.generator, self.discriminator
        if is_compiled:
            # Not dynamic: one graph for each batch size, as both come in every step.
            self._generate = torch.compile(self.generator, dynamic=False)
            self._judge = torch.compile(self.discriminator, dynamic=False)

    def iterate(self, with_penalty: bool) -> float:
        """Does one iteration; returns the generator's loss."""
        self._update_discriminator(self._photographs(), with_penalty)
        loss = self._update_generator(self._photographs())
        self.average.update_parameters(self.generator)
        return loss.item()

    def _update_discriminator(self, real: torch.Tensor, with_penalty: bool) -> None:
        with torch.no_grad():
            fake = self._images_of(self._latents())
        both = torch.cat([real, fake]).requires_grad_(with_penalty)
        logits = self._logits(both, self.discriminator if with_penalty else self._judge)
        on_real, on_fake = logits.chunk(2)
        loss = functional.softplus(on_fake - on_real).mean()
        if with_penalty:
            (gradients,) = torch.autograd.grad(logits.sum(), both, create_graph=True)
            norms = gradients.float().square().sum((1, 2, 3))
            loss = loss + penalty_weight(self._config) * 2 * norms.mean()  # R1 + R2
        self._apply("discriminator", loss)

    def _update_generator(self, real: torch.Tensor) -> torch.Tensor:
        self.discriminator.requires_grad_(False)
        with torch.no_grad():
            on_real = self._logits(real, self._judge)
        fake = self._images_of(self._latents())
        on_fake = self._logits(fake, self._judge)
        loss = functional.softplus(on_real - on_fake).mean()
        self._apply("generator", loss)
        self.discriminator.requires_grad_(True)
        return loss.detach()

    def _apply(self, network: Network, loss: torch.Tensor) -> None:
        adam = self._adams[network]
        adam.zero_grad(set_to_none=True)
        # Not by the images of a penalty, which are leaves too.
        loss.backward(inputs=adam.param_groups[0]["params"])
        adam.step()

    def _images_of(self, latents: torch.Tensor) -> torch.Tensor:
        with self._autocast():
            return self._generate(latents).float()

    def _logits(self, images: torch.Tensor, judge: nn.Module) -> torch.Tensor:
        with self._autocast():
            return judge(images)[:, 0].float()

    def _autocast(self) -> torch.autocast:
        is_narrow = self._dtype != torch.float32
        return torch.autocast(self._device, torch.bfloat16, enabled=is_narrow)

    def _latents(self) -> torch.Tensor:
        shape = (self._config.training.batch_size, self._config.model.latent_dim)
        return torch.randn(shape, device=self._device)

    def _photographs(self) -> torch.Tensor:
        """Returns a random batch, float32 [batch, 3, size, size] in [-1, 1]."""
        count = self._config.training.batch_size
        places = torch.randint(len(self._images), (count,), device=self._device)
        images = self._images[places].float() / 127.5 - 1
        if not self._config.data.horizontal_flip:
            return images
        flips = torch.rand((count, 1, 1, 1), device=self._device) < 0.5
        return torch.where(flips, images.flip(3), images)

    def _faster_format(self) -> str:
        """Times the discriminator forward and backward in both memory formats."""
        size = self._config.data.image_size
        images = torch.randn(2 * self._config.training.batch_size, 3, size, size)
        seconds = {}
        for name, memory_format in FORMATS.items():
            self.discriminator.to(memory_format=memory_format)
            batch = images.to(self._device).contiguous(memory_format=memory_format)
            trials = [self._seconds_of(batch) for _ in range(TRIALS)]
            seconds[name] = min(trials)
        return min(seconds, key=lambda name: seconds[name])

    def _seconds_of(self, images: torch.Tensor) -> float:
        began = time.perf_counter()
        total = self._logits(images, self.discriminator).sum()
        total.backward()
        total.item()
        self.discriminator.zero_grad(set_to_none=True)
        return time.perf_counter() - began


def build(config: Config, is_compiled: bool, precision: str) -> Ready:
    """Builds the pair and its step.

    Raises:
        Problem: If the config asks for a GPU that this PyTorch cannot use.
    """
    device = "cpu"
    if config.runtime.device == "gpu":
        device = "cuda"
        if not torch.cuda.is_available():
            raise Problem("runtime.device is gpu, which this PyTorch cannot use")
    step = Step(config, is_compiled, precision, device)
    note = f"{precision}, {step.format}"
    if is_compiled:
        note += "; with a penalty, the discriminator in eager mode"
    networks = (step.generator, step.discriminator)
    num_weights = sum(p.numel() for net in networks for p in net.parameters())
    return Ready(step.iterate, num_weights, note, {"torch": torch.__version__})


def build_adam(
    config: Config, network: Network, module: nn.Module
) -> torch.optim.Optimizer:
    """Returns PyTorch's fused Adam with a network's settings."""
    settings = config.optimizer.for_network(network)
    return torch.optim.Adam(
        module.parameters(),
        lr=settings.learning_rate,
        betas=(settings.beta_1, settings.beta_2),
        eps=settings.epsilon,
        fused=True,
    )
