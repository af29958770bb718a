// All of norch.
#pragma once

#include "norch/autograd.h"
#include "norch/cuda.h"
#include "norch/device.h"
#include "norch/dtype.h"
#include "norch/error.h"
#include "norch/generator.h"
#include "norch/io.h"
#include "norch/ops.h"
#include "norch/optim.h"
#include "norch/parallel.h"
#include "norch/print.h"
#include "norch/scalar.h"
#include "norch/shape.h"
#include "norch/storage.h"
#include "norch/tensor.h"
#include "norch/version.h"
