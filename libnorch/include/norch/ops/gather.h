// gather and scatter: elements addressed along one dim, each by an index of its own.
//
// `index` is int64 with as many dims as `t`, and no larger than it in dims other than `dim`. An index out of range
// raises IndexError; on CUDA at the next call that waits for the device. Where indices repeat, sums are taken and
// values stay in index order (the last one stays), on both devices.
#pragma once

#include <optional>
#include <string>

#include "norch/tensor.h"

namespace norch {

/// out[i][j][k] = t[i][index[i][j][k]][k] (for dim = 1), in the shape of `index`.
NORCH_API Tensor gather(const Tensor& t, int64_t dim, const Tensor& index);
/// gather where index and `t` broadcast in the other dims; without a dim both are taken as flat.
NORCH_API Tensor take_along_dim(const Tensor& t, const Tensor& index, std::optional<int64_t> dim = {});

/// `self` with self[i][index[i][j][k]][k] = src[i][j][k]; src may be larger than index. A number stands for a src full
/// of it. `reduce`: "" replaces, "add" adds, "multiply" multiplies (the latter without gradient to src).
NORCH_API Tensor scatter(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                         const std::string& reduce = "");
NORCH_API Tensor scatter_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                          const std::string& reduce = "");
NORCH_API Tensor scatter(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value,
                         const std::string& reduce = "");
NORCH_API Tensor scatter_(const Tensor& self, int64_t dim, const Tensor& index, const Scalar& value,
                          const std::string& reduce = "");
NORCH_API Tensor scatter_add(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src);
NORCH_API Tensor scatter_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src);
/// `self` combined with the src elements that meet at each place, by "sum", "prod", "mean", "amax" or "amin"; without
/// `include_self` places that src reaches forget their own value first.
NORCH_API Tensor scatter_reduce(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                                const std::string& reduce, bool include_self = true);
NORCH_API Tensor scatter_reduce_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                                 const std::string& reduce, bool include_self = true);

}  // namespace norch
