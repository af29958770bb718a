#pragma once

namespace norch::kernels::cuda {

/// Whether this build has the kernels of *_sm90a.cu, and the current device runs them: of compute capability 9.0, not
/// above.
bool has_sm90a();

}  // namespace norch::kernels::cuda
