// What there is of NVIDIA's libraries, for people to read.
#include <dlfcn.h>

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/library_files.h"
#include "norch/config.h"
#include "norch/error.h"

namespace norch::cuda {

namespace {

/// The number of a CUDA release as text: 13010 -> "13.1".
std::string release(int number) { return str(number / 1000, ".", number % 1000 / 10); }

LibraryInfo look(const LibraryFile& file) {
  LibraryInfo info{file.name, file.file, {}, {}, {}};
  try {
    const Library library(file);
    info.path = library.path();
    if (!file.version_function) return info;
    size_t (*version)() = nullptr;
    library.find(version, file.version_function);
    const size_t number = version();
    // Two spellings: 130102 or 91301 (major * 10000), and 8902 (cuDNN before 9, major * 1000).
    const size_t major = number >= 10000 ? 10000 : 1000;
    info.version = str(number / major, ".", number % major / 100, ".", number % 100);
  } catch (const Error& e) {
    info.problem = e.what();
  }
  return info;
}

}  // namespace

std::vector<LibraryInfo> libraries() {
  std::vector<LibraryInfo> all;
  for (const LibraryFile* file : {&library_files::cublaslt, &library_files::cublas, &library_files::cusolver,
                                  &library_files::cufft, &library_files::nccl,
#if NORCH_HAVE_CUDNN_H
                                  &library_files::cudnn, &library_files::nvrtc,
#endif
#if NORCH_HAVE_CUPTI_H
                                  &library_files::cupti,
#endif
       })
    all.push_back(look(*file));
#if !NORCH_HAVE_CUDNN_H
  all.push_back({"cuDNN", {}, {}, {}, "its headers were not found when norch was built"});
#endif
#if !NORCH_HAVE_CUPTI_H
  all.push_back({"CUPTI", {}, {}, {}, "its headers were not found when norch was built"});
#endif
  return all;
}

std::string driver_version() {
  int number = 0;
  return cudaDriverGetVersion(&number) == cudaSuccess && number ? release(number) : std::string();
}

std::string runtime_version() {
  int number = 0;
  return cudaRuntimeGetVersion(&number) == cudaSuccess ? release(number) : std::string();
}

}  // namespace norch::cuda
