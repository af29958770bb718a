"""What models compute on the way."""

import copy

import numpy as np
import pytest

import norch
from norch import nn
from norch.vision import models
from norch.vision.models.feature_extraction import create_feature_extractor, get_graph_node_names


def test_names_of_resnet():
    train, evaluation = get_graph_node_names(models.resnet18())
    assert train == evaluation and len(train) == 70
    assert train[5:12] == [
        "layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu", "layer1.0.conv2", "layer1.0.bn2", "layer1.0.add", "layer1.0.relu_1",
    ]  # fmt: skip
    assert train[-4:] == ["layer4.1.relu_1", "avgpool", "flatten", "fc"]


@pytest.mark.parametrize("name, count", [("vit_b_16", None), ("mobilenet_v2", 84), ("efficientnet_b0", 88), ("densenet121", 432)])
def test_models_can_be_traced(name, count):
    names = get_graph_node_names(getattr(models, name)())[1]
    assert count is None or len(names) == count


def test_features_are_those_of_the_model():
    model = models.resnet18().eval()
    x = norch.randn(1, 3, 64, 64)
    features = create_feature_extractor(model, {"layer1": "low", "layer3.1.add": "mid", "fc": "out"})
    result = features(x)
    assert list(result) == ["low", "mid", "out"] and result["mid"].shape == (1, 256, 4, 4)
    np.testing.assert_array_equal(result["out"].detach().numpy(), model(x).detach().numpy())
    low = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x)))))
    np.testing.assert_array_equal(result["low"].detach().numpy(), low.detach().numpy())
    early = create_feature_extractor(model, ["layer1"])
    assert [name for name, _ in early.named_children()] == ["conv1", "bn1", "relu", "maxpool", "layer1"]


class Twofold(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 3)

    def forward(self, x):
        return self.a(x) if self.training else self.b(x)


def test_training_and_evaluation_may_differ():
    with pytest.warns(UserWarning, match="not the same as those in train mode"):
        assert get_graph_node_names(Twofold()) == (["x", "a"], ["x", "b"])
    features = create_feature_extractor(Twofold(), train_return_nodes=["a"], eval_return_nodes={"b": "out"})
    assert features(norch.zeros(1, 2))["a"].shape == (1, 2)
    for module in (features.eval(), copy.deepcopy(features)):
        assert module(norch.zeros(1, 2))["out"].shape == (1, 3)
    assert list(features.train()(norch.zeros(1, 2))) == ["a"]


def test_errors():
    with pytest.raises(ValueError, match="node: 'layer9' is not present in model"):
        create_feature_extractor(models.resnet18(), ["layer9"])
    with pytest.raises(ValueError, match="should be specified"):
        create_feature_extractor(models.resnet18(), train_return_nodes=["fc"])
