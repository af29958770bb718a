"""Models that give each pixel a class."""

import pytest

import norch
from norch.vision import models
from norch.vision.models import segmentation
from norch.vision.models._utils import IntermediateLayerGetter

MODELS = {
    "fcn_resnet50": ("classifier.4.bias aux_classifier.0.weight backbone.layer4.2.bn3.bias", 35_322_218),
    "deeplabv3_resnet50": ("classifier.0.convs.4.1.weight classifier.0.project.1.bias classifier.4.weight", 42_004_074),
    "deeplabv3_mobilenet_v3_large": ("backbone.16.0.weight aux_classifier.4.weight", 11_029_328),
    "lraspp_mobilenet_v3_large": ("classifier.cbr.1.weight classifier.scale.1.weight classifier.low_classifier.bias", 3_221_538),
}


@pytest.mark.parametrize("name", MODELS)
def test_names_and_number_of_parameters(name, monkeypatch):
    monkeypatch.setattr(norch.nn.init, "kaiming_normal_", lambda w, *a, **k: w)  # large random weights take long
    aux = {} if name.startswith("lraspp") else {"aux_loss": True}
    model = models.get_model(name, weights_backbone=None, **aux)
    names, count = MODELS[name]
    assert set(names.split()) <= set(model.state_dict())
    assert sum(p.numel() for p in model.parameters()) == count
    assert models.list_models(segmentation).count(name) == 1


def test_training_of_a_small_model():
    model = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    images = norch.randn(2, 3, 32, 48)
    out = model(images)["out"]
    assert out.shape == (2, 3, 32, 48)
    norch.nn.functional.cross_entropy(out, norch.randint(3, (2, 32, 48))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_heads():
    backbone = norch.nn.Sequential(norch.nn.Conv2d(3, 8, 3, 2, 1), norch.nn.Conv2d(8, 16, 3, 2, 1))
    layers = IntermediateLayerGetter(backbone, {"1": "out", "0": "aux"})
    heads = segmentation.deeplabv3.DeepLabHead(16, 4), segmentation.fcn.FCNHead(8, 4)
    model = segmentation.DeepLabV3(layers, *heads)
    result = model(norch.randn(2, 3, 16, 16))
    assert list(result) == ["out", "aux"] and all(t.shape == (2, 4, 16, 16) for t in result.values())


def test_weights_of_models_and_backbones():
    weights = segmentation.FCN_ResNet50_Weights.DEFAULT
    assert weights.name == "COCO_WITH_VOC_LABELS_V1" and weights.url.endswith("fcn_resnet50_coco-1167a1af.pth")
    assert weights.transforms()(norch.zeros(3, 40, 40, dtype=norch.uint8)).shape == (3, 520, 520)
    with pytest.warns(UserWarning, match="'pretrained_backbone'"):
        segmentation.lraspp_mobilenet_v3_large(pretrained_backbone=False)
    with pytest.raises(NotImplementedError, match="auxiliary loss"):
        segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, aux_loss=True)
