"""Weights of small networks of the published formats, with random numbers: what no test can download."""

import numpy as np
import torch
from transformers import BertConfig, BertModel

from m3h.encoders.densenet import FINDINGS
from m3h.encoders.weights import store

WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", ":", "no", "the", "heart", "lung", "lungs", "clear"),
    *("fluid", "pain", "fever", "Heart", "Lung", "Clear", "opacity", "normal", "of", "is", "a", "1", "2"),
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
    *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
)
THRESHOLDS = tuple(None if place % 3 == 2 else 0.1 + 0.04 * place for place in range(len(FINDINGS)))
#: 2 layers a block, 4 channels a layer: a DenseNet-121 in all but size.
THIN = {"growth_rate": 4, "block_config": [2, 2, 2, 2], "num_init_features": 8, "bn_size": 2, "thresholds": THRESHOLDS}


def bert_config(*, width=768, layers=1, words=WORDS):
    """A BERT of one layer, as wide as the published one."""
    return BertConfig(
        vocab_size=len(words),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=width,
        max_position_embeddings=512,
    )


def bert(seed=0, **shape):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BertModel(bert_config(**shape))
        # larger than at the start of a training, so that different texts differ clearly
        for parameter in network.parameters():
            parameter.data *= 3
    return network.eval()


def thin_densenet(seed=0):
    from torchxrayvision.models import DenseNet

    shape = {key: value for key, value in THIN.items() if key != "thresholds"}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DenseNet(**shape, num_classes=len(FINDINGS), weights=None)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2.0)
    return network.eval()


def write_bert(place, *, seed=0, words=WORDS, **shape):
    network = bert(seed, words=words, **shape)
    config = bert_config(words=words, **shape).to_dict()
    return store.write(place, "clinicalbert", network.state_dict(), config, vocabulary="\n".join(words) + "\n")


def write_densenet(place, *, seed=0):
    state = {name: tensor for name, tensor in thin_densenet(seed).state_dict().items() if name != "op_threshs"}
    return store.write(place, "densenet121-chex", state, THIN)


def write_weights(place, *, words=()):
    """Both large models, small; the language model knows these words too."""
    write_bert(place, words=(*WORDS, *(word for word in words if word not in WORDS)))
    write_densenet(place)


def picture(path, number, size=(60, 50)):
    """A grey image of noise and a bright bar whose place tells its number."""
    from PIL import Image

    values = np.random.default_rng(number).integers(0, 120, size, dtype=np.uint8)
    values[:, number % size[1]] = 255
    Image.fromarray(values).save(path)
    return path
