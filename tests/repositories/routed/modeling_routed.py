"""A model of a repository's own, whose router is a linear layer that returns two tensors: LoRA cannot add to that."""

from torch import nn
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from .configuration_routed import RoutedConfig


class Router(nn.Linear):
    def forward(self, hidden):
        scores = super().forward(hidden)
        return scores.softmax(-1), scores


class RoutedMLP(LlamaMLP):
    def __init__(self, config):
        super().__init__(config)
        self.router = Router(config.hidden_size, 2, bias=False)

    def forward(self, x):
        weights, _ = self.router(x)
        return weights[..., :1] * super().forward(x)


class RoutedForCausalLM(LlamaForCausalLM):
    config_class = RoutedConfig

    def __init__(self, config):
        super().__init__(config)
        for layer in self.model.layers:
            layer.mlp = RoutedMLP(config)
        self.post_init()
