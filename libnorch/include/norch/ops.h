// Every op, by family.
#pragma once

#include "norch/ops/activation.h"
#include "norch/ops/binary.h"
#include "norch/ops/conv.h"
#include "norch/ops/copy.h"
#include "norch/ops/dropout.h"
#include "norch/ops/factory.h"
#include "norch/ops/linear.h"
#include "norch/ops/matmul.h"
#include "norch/ops/random.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
