from transformers import LlamaConfig


class RoutedConfig(LlamaConfig):
    model_type = "routed"
