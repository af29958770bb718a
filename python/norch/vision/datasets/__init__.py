"""Data sets of images, read from the files in which they are published."""

from .celeba import CelebA as CelebA
from .cifar import CIFAR10 as CIFAR10
from .cifar import CIFAR100 as CIFAR100
from .fakedata import FakeData as FakeData
from .folder import DatasetFolder as DatasetFolder
from .folder import ImageFolder as ImageFolder
from .lsun import LSUN as LSUN
from .lsun import LSUNClass as LSUNClass
from .mnist import EMNIST as EMNIST
from .mnist import KMNIST as KMNIST
from .mnist import MNIST as MNIST
from .mnist import QMNIST as QMNIST
from .mnist import FashionMNIST as FashionMNIST
from .stl10 import STL10 as STL10
from .svhn import SVHN as SVHN
from .vision import VisionDataset as VisionDataset
