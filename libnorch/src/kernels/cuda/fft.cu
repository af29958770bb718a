#include "kernels/fft.h"

#include <list>
#include <mutex>

#include "kernels/cuda/context.h"
#include "kernels/cuda/library_files.h"
#include "norch/error.h"

namespace norch::kernels::cuda {

namespace {

// cuFFT, declared here with its enumerations as plain numbers, so that building needs no headers of its own.
using Plan = int;
enum Type : int { kR2C = 0x2a, kC2R = 0x2c, kC2C = 0x29, kD2Z = 0x6a, kZ2D = 0x6c, kZ2Z = 0x69 };

struct Cufft {
  int (*create)(Plan*);
  int (*make_plan)(Plan, int rank, long long* n, long long* in_embed, long long in_stride, long long in_dist,
                   long long* out_embed, long long out_stride, long long out_dist, int type, long long batch,
                   size_t* work_size);
  int (*destroy)(Plan);
  int (*set_stream)(Plan, cudaStream_t);
  int (*c2c)(Plan, void*, void*, int);
  int (*r2c)(Plan, void*, void*);
  int (*c2r)(Plan, void*, void*);
  int (*z2z)(Plan, void*, void*, int);
  int (*d2z)(Plan, void*, void*);
  int (*z2d)(Plan, void*, void*);
};

Cufft load() {
  const norch::cuda::Library library(norch::cuda::library_files::cufft);
  Cufft f;
  library.find(f.create, "cufftCreate");
  library.find(f.make_plan, "cufftMakePlanMany64");
  library.find(f.destroy, "cufftDestroy");
  library.find(f.set_stream, "cufftSetStream");
  library.find(f.c2c, "cufftExecC2C");
  library.find(f.r2c, "cufftExecR2C");
  library.find(f.c2r, "cufftExecC2R");
  library.find(f.z2z, "cufftExecZ2Z");
  library.find(f.d2z, "cufftExecD2Z");
  library.find(f.z2d, "cufftExecZ2D");
  return f;
}

const Cufft& cufft() {
  static const Cufft functions = load();  // tried anew by the next call if it raises
  return functions;
}

void check_fft(int status, const char* call) { NORCH_CHECK(status == 0, "CUDA error: ", call, " returned status ", status); }

/// Plans take far longer to make than to run: the last few are kept, with their workspaces.
struct Kept {
  int device, type;
  int64_t n, rows;
  cudaStream_t stream;  // a workspace serves one stream
  Plan plan;
};
constexpr size_t kMostPlans = 16;
std::mutex g_mutex;
std::list<Kept>& kept() {
  static auto* list = new std::list<Kept>;
  return *list;
}

/// The plan for such transforms on the current device and stream, as the most recent one. g_mutex is held.
Plan plan_for(int type, int64_t n, int64_t rows, int64_t in_row, int64_t out_row) {
  const int device = norch::cuda::current_device();
  const cudaStream_t stream = norch::cuda::current_stream();
  auto& list = kept();
  for (auto it = list.begin(); it != list.end(); ++it) {
    if (it->device != device || it->type != type || it->n != n || it->rows != rows || it->stream != stream) continue;
    list.splice(list.begin(), list, it);
    return it->plan;
  }
  if (list.size() >= kMostPlans) {
    norch::cuda::check(cudaStreamSynchronize(list.back().stream), "cudaStreamSynchronize");  // it may be in use
    norch::cuda::DeviceGuard guard(list.back().device);
    check_fft(cufft().destroy(list.back().plan), "cufftDestroy");
    list.pop_back();
  }
  Plan plan;
  check_fft(cufft().create(&plan), "cufftCreate");
  long long size = n;
  size_t bytes = 0;
  const int status =
      cufft().make_plan(plan, 1, &size, &size, 1, in_row, &size, 1, out_row, type, rows, &bytes);
  if (status != 0) {
    cufft().destroy(plan);
    check_fft(status, "cufftMakePlanMany64");
  }
  check_fft(cufft().set_stream(plan, stream), "cufftSetStream");
  list.push_front({device, type, n, rows, stream, plan});
  return plan;
}

}  // namespace

void fft_rows(const Tensor& out, const Tensor& in, bool forward) {
  const bool wide = to_real(in.dtype()) == DType::Float64;
  const int64_t rows = in.numel() / in.size(-1), in_row = in.size(-1), out_row = out.size(-1);
  const int64_t n = in.is_complex() ? out_row : in_row;
  // cuFFT may overwrite the input of a complex to real transform.
  const Tensor source = in.is_complex() && !out.is_complex() ? in.clone() : in;
  const Cufft& f = cufft();
  std::lock_guard<std::mutex> lock(g_mutex);
  if (!in.is_complex()) {
    const Plan plan = plan_for(wide ? kD2Z : kR2C, n, rows, in_row, out_row);
    check_fft((wide ? f.d2z : f.r2c)(plan, source.data_ptr(), out.data_ptr()), "cufftExecR2C");
  } else if (!out.is_complex()) {
    const Plan plan = plan_for(wide ? kZ2D : kC2R, n, rows, in_row, out_row);
    check_fft((wide ? f.z2d : f.c2r)(plan, source.data_ptr(), out.data_ptr()), "cufftExecC2R");
  } else {
    const Plan plan = plan_for(wide ? kZ2Z : kC2C, n, rows, in_row, out_row);
    check_fft((wide ? f.z2z : f.c2c)(plan, source.data_ptr(), out.data_ptr(), forward ? -1 : 1), "cufftExecC2C");
  }
}

}  // namespace norch::kernels::cuda
