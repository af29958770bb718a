"""Models have the published numbers of parameters, torchvision's names of them, and train; weights come from files."""

import pickle

import pytest

import norch
import norch.nn as nn
from norch.vision import models

# As torchvision documents them.
PARAMETERS = {
    "alexnet": 61100840,
    "convnext_base": 88591464,
    "convnext_large": 197767336,
    "convnext_small": 50223688,
    "convnext_tiny": 28589128,
    "densenet121": 7978856,
    "densenet161": 28681000,
    "densenet169": 14149480,
    "densenet201": 20013928,
    "efficientnet_b0": 5288548,
    "efficientnet_b1": 7794184,
    "efficientnet_b2": 9109994,
    "efficientnet_b3": 12233232,
    "efficientnet_b4": 19341616,
    "efficientnet_b5": 30389784,
    "efficientnet_b6": 43040704,
    "efficientnet_b7": 66347960,
    "efficientnet_v2_l": 118515272,
    "efficientnet_v2_m": 54139356,
    "efficientnet_v2_s": 21458488,
    "googlenet": 6624904,
    "inception_v3": 27161264,
    "maxvit_t": 30919624,
    "mnasnet0_5": 2218512,
    "mnasnet0_75": 3170208,
    "mnasnet1_0": 4383312,
    "mnasnet1_3": 6282256,
    "mobilenet_v2": 3504872,
    "mobilenet_v3_large": 5483032,
    "mobilenet_v3_small": 2542856,
    "regnet_x_16gf": 54278536,
    "regnet_x_1_6gf": 9190136,
    "regnet_x_32gf": 107811560,
    "regnet_x_3_2gf": 15296552,
    "regnet_x_400mf": 5495976,
    "regnet_x_800mf": 7259656,
    "regnet_x_8gf": 39572648,
    "regnet_y_16gf": 83590140,
    "regnet_y_1_6gf": 11202430,
    "regnet_y_32gf": 145046770,
    "regnet_y_3_2gf": 19436338,
    "regnet_y_400mf": 4344144,
    "regnet_y_800mf": 6432512,
    "regnet_y_8gf": 39381472,
    "resnet101": 44549160,
    "resnet152": 60192808,
    "resnet18": 11689512,
    "resnet34": 21797672,
    "resnet50": 25557032,
    "resnext101_32x8d": 88791336,
    "resnext101_64x4d": 83455272,
    "resnext50_32x4d": 25028904,
    "shufflenet_v2_x0_5": 1366792,
    "shufflenet_v2_x1_0": 2278604,
    "shufflenet_v2_x1_5": 3503624,
    "shufflenet_v2_x2_0": 7393996,
    "squeezenet1_0": 1248424,
    "squeezenet1_1": 1235496,
    "swin_b": 87768224,
    "swin_s": 49606258,
    "swin_t": 28288354,
    "swin_v2_b": 87930848,
    "swin_v2_s": 49737442,
    "swin_v2_t": 28351570,
    "vgg11": 132863336,
    "vgg11_bn": 132868840,
    "vgg13": 133047848,
    "vgg13_bn": 133053736,
    "vgg16": 138357544,
    "vgg16_bn": 138365992,
    "vgg19": 143667240,
    "vgg19_bn": 143678248,
    "vit_b_16": 86567656,
    "vit_b_32": 88224232,
    "vit_l_16": 304326632,
    "vit_l_32": 306535400,
    "wide_resnet101_2": 126886696,
    "wide_resnet50_2": 68883240,
}
OPTIONS = {"googlenet": {"aux_logits": False, "init_weights": False}, "inception_v3": {"init_weights": False}}


@pytest.fixture
def unfilled(monkeypatch):
    """Parameters stay as the memory is, which takes no time."""
    for name in nn.init.__all__:
        if name.endswith("_"):
            monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.parametrize("name", PARAMETERS)
def test_number_of_parameters(name, unfilled):
    model = models.get_model(name, **OPTIONS.get(name, {}))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


def test_all_models_are_listed():
    assert {*models.list_models(models)} - {"tiny"} == {*PARAMETERS, "regnet_y_128gf", "vit_h_14"}
    assert models.list_models(include="resnet*", exclude=["*1*"]) == ["resnet34", "resnet50"]
    assert models.list_models(models, "vgg1*") == models.list_models(include="vgg1*") and models.list_models(nn) == []
    assert models.get_model_builder("ResNet18") is models.resnet18
    with pytest.raises(ValueError, match="Unknown model resnet17"):
        models.get_model("resnet17")


KEYS = {
    "alexnet": "features.0.weight classifier.6.bias",
    "convnext_tiny": "features.0.1.weight features.1.0.layer_scale features.1.0.block.5.weight features.2.1.bias",
    "densenet121": "features.denseblock4.denselayer16.conv2.weight features.transition3.conv.weight",
    "efficientnet_b0": "features.1.0.block.1.fc1.weight features.8.1.running_var classifier.1.weight",
    "mnasnet0_5": "layers.8.0.layers.3.weight classifier.1.bias",
    "mobilenet_v2": "features.1.conv.0.0.weight features.18.1.num_batches_tracked classifier.1.weight",
    "mobilenet_v3_small": "features.1.block.1.fc2.bias classifier.3.weight",
    "regnet_y_400mf": "trunk_output.block1.block1-0.f.se.fc1.bias trunk_output.block4.block4-0.proj.1.bias",
    "resnet18": "conv1.weight layer4.1.bn2.running_mean layer2.0.downsample.0.weight fc.bias",
    "shufflenet_v2_x0_5": "conv1.0.weight stage2.0.branch1.0.weight stage4.3.branch2.6.bias conv5.1.weight fc.weight",
    "squeezenet1_1": "features.12.expand3x3.weight classifier.1.weight",
}


@pytest.mark.parametrize("name", KEYS)
def test_names_of_parameters(name, unfilled):
    keys = models.get_model(name).state_dict().keys()
    assert set(KEYS[name].split()) <= set(keys)


SMALL = {
    "resnet18": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 33,
    "efficientnet_b0": 32,
    "mnasnet0_5": 32,
    "regnet_x_400mf": 32,
    "densenet121": 32,
}


@pytest.mark.parametrize("name", SMALL)
def test_training_and_evaluation(name):
    model = models.get_model(name, num_classes=5)
    images = norch.randn(2, 3, SMALL[name], SMALL[name])
    model(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with norch.no_grad():
        model.eval()
        assert norch.equal(model(images), model(images)) and model(images).shape == (2, 5)


def test_initial_biases_of_regnets():
    biases = [m.bias for m in models.regnet_y_400mf().modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    assert biases and all(b.abs().max() > 0 for b in biases)  # of squeeze-and-excitation; as Conv2d makes them


def test_a_small_vision_transformer():
    model = models.VisionTransformer(
        image_size=16, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12, num_classes=3
    )
    assert list(model.state_dict())[:4] == [
        "class_token",
        "conv_proj.weight",
        "conv_proj.bias",
        "encoder.pos_embedding",
    ]
    assert "encoder.layers.encoder_layer_1.mlp.3.weight" in model.state_dict()
    assert model(norch.randn(2, 3, 16, 16)).abs().max() == 0  # the head starts at zero
    with pytest.raises(AssertionError, match="Wrong image height! Expected 16 but got 8!"):
        model(norch.randn(2, 3, 8, 8))
    # Files of the first version have other names.
    old = {"mlp.0.": "mlp.linear_1.", "mlp.3.": "mlp.linear_2."}
    state = {}
    for key, value in model.state_dict().items():
        part = next((name for name in old if name in key), "")
        state[key.replace(part, old.get(part, ""))] = value
    models.VisionTransformer(16, 8, 2, 2, 8, 12, num_classes=3).load_state_dict(state)
    stem = [models.vision_transformer.ConvStemConfig(4, 3, 2), models.vision_transformer.ConvStemConfig(4, 3, 4)]
    stemmed = models.VisionTransformer(
        16, 8, 1, 2, 8, 12, num_classes=3, conv_stem_configs=stem, representation_size=6
    )
    assert stemmed(norch.randn(1, 3, 16, 16)).shape == (1, 3)


def test_a_small_convnext():
    stage = models.convnext.CNBlockConfig
    model = models.ConvNeXt([stage(8, 12, 1), stage(12, None, 2)], stochastic_depth_prob=0.5, num_classes=3)
    assert repr(stage(8, None, 1)) == "CNBlockConfig(input_channels=8, out_channels=None, num_layers=1)"
    assert model(norch.randn(2, 3, 32, 32)).shape == (2, 3)
    assert model.features[3][1].stochastic_depth.p == 0.5


def test_outputs_of_auxiliary_heads():
    with pytest.warns(FutureWarning, match="default weight initialization of GoogleNet"):
        model = models.googlenet(num_classes=3)
    output = model(norch.randn(2, 3, 64, 64))
    assert output._fields == ("logits", "aux_logits2", "aux_logits1") and output.aux_logits1.shape == (2, 3)
    assert model.eval()(norch.randn(1, 3, 64, 64)).shape == (1, 3)


def test_options_of_resnets():
    block = models.resnet.Bottleneck
    dilated = models.ResNet(block, [1, 1, 1, 1], 3, replace_stride_with_dilation=[False, True, True])
    assert dilated.layer4(dilated.layer3(norch.randn(1, 512, 4, 4))).shape == (1, 2048, 4, 4)
    started = models.ResNet(block, [1, 1, 1, 1], 3, zero_init_residual=True)
    assert started.layer1[0].bn3.weight.abs().max() == 0
    with pytest.raises(ValueError, match="BasicBlock only supports groups=1"):
        models.resnet18(groups=2)
    with pytest.raises(ValueError, match="The parameter 'width_per_group' expected value 4 but got 64"):
        models.resnext50_32x4d(width_per_group=64)
    norm = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], 3, norm_layer=lambda c: nn.GroupNorm(2, c))
    assert isinstance(norm.bn1, nn.GroupNorm)


def test_intermediate_layers():
    getter = models._utils.IntermediateLayerGetter(models.resnet18(), {"layer1": "a", "layer3": "b"})
    outputs = getter(norch.randn(1, 3, 32, 32))
    assert [(k, tuple(v.shape)) for k, v in outputs.items()] == [("a", (1, 64, 8, 8)), ("b", (1, 256, 2, 2))]
    assert "layer4" not in getter


def test_weights():
    enum = models.ResNet50_Weights
    assert models.get_model_weights("resnet50") is models.get_model_weights(models.resnet50) is enum
    assert enum.DEFAULT is enum.IMAGENET1K_V2 is models.get_weight("ResNet50_Weights.DEFAULT")
    assert enum.DEFAULT.url == "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
    assert repr(enum.IMAGENET1K_V1) == "ResNet50_Weights.IMAGENET1K_V1"
    assert pickle.loads(pickle.dumps(enum.DEFAULT)) is enum.DEFAULT
    assert enum.verify("IMAGENET1K_V1") is enum.verify("ResNet50_Weights.IMAGENET1K_V1") is enum.IMAGENET1K_V1
    with pytest.raises(TypeError, match="expected ResNet50_Weights but received ResNet18_Weights"):
        models.resnet50(weights=models.ResNet18_Weights.DEFAULT)
    with pytest.raises(ValueError, match="Invalid weight name provided: 'x'"):
        models.get_weight("x")
    with pytest.raises(ValueError, match="'X_Weights' for the specific method couldn't be retrieved"):
        models.get_weight("X_Weights.DEFAULT")


def test_the_transform_of_weights():
    Image = pytest.importorskip("PIL.Image")
    transform = models.ResNet18_Weights.DEFAULT.transforms()
    assert repr(transform).startswith("ImageClassification(\n    crop_size=[224]\n    resize_size=[256]\n")
    image = transform(Image.new("RGB", (300, 260), (124, 116, 104)))
    assert image.shape == (3, 224, 224) and image.abs().max() < 0.01


class Published(models.WeightsEnum):
    IMAGENET1K_V1 = models.Weights("https://localhost/tiny-0123456789.pth", None, {"num_classes": 4})
    DEFAULT = IMAGENET1K_V1


@models._api.model(Published)
def tiny(**kwargs):
    return nn.Linear(2, kwargs.get("num_classes", 1000))


def test_weights_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "tiny-0123456789.pth"
    path.parent.mkdir(parents=True)
    saved = nn.Linear(2, 4)
    norch.save(saved.state_dict(), path)
    for weights in (Published.DEFAULT, "DEFAULT", "Published.IMAGENET1K_V1"):
        assert norch.equal(tiny(weights=weights).weight, saved.weight)
    assert not norch.equal(tiny(num_classes=4).weight, saved.weight)
    with pytest.warns(UserWarning, match="'pretrained'"):
        assert norch.equal(tiny(pretrained=True).weight, saved.weight)
    with pytest.warns(UserWarning, match="'pretrained'"):
        assert tiny(pretrained=False).out_features == 1000
    with pytest.warns(UserWarning, match="positional parameter"):
        assert norch.equal(tiny(Published.DEFAULT).weight, saved.weight)
    with pytest.raises(ValueError, match="The parameter 'num_classes' expected value 4 but got 5"):
        tiny(weights="DEFAULT", num_classes=5)


def test_weights_without_a_network(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("norch.hub.urlopen", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match="could not fetch .*no route to host.*\\s+put it at"):
        models.resnet18(weights="DEFAULT")


def test_old_names_in_files_of_densenets():
    rename = models.densenet._rename
    assert rename("features.denseblock1.denselayer2.norm.1.weight") == "features.denseblock1.denselayer2.norm1.weight"
    assert rename("features.norm0.weight") == "features.norm0.weight"
