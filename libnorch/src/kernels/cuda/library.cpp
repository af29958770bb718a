#include "kernels/cuda/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "norch/cuda.h"

namespace norch::cuda {

namespace {

std::mutex g_mutex;
std::vector<std::string>& folders() {
  static auto* list = new std::vector<std::string>;
  return *list;
}

}  // namespace

void add_library_dir(const std::string& folder) {
  std::lock_guard<std::mutex> lock(g_mutex);
  if (std::find(folders().begin(), folders().end(), folder) == folders().end()) folders().push_back(folder);
}

Library::Library(const char* file, const char* package) : file_(file) {
  // One copy per process: if another package has loaded this version already, it serves norch too.
  handle_ = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
  if (handle_) return;
  std::vector<std::string> places;
  {
    std::lock_guard<std::mutex> lock(g_mutex);
    places = folders();
  }
  places.push_back("");  // the system's own places
  places.push_back("/usr/local/cuda/lib64");
  std::string tried;
  for (const std::string& folder : places) {
    const std::string path = folder.empty() ? file : folder + "/" + file;
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_) return;
    const char* why = dlerror();
    tried += std::string("\n  ") + (why ? why : path.c_str());
  }
  NORCH_RAISE(Error, "CUDA: ", file, " was not found. Install it with 'pip install ", package,
              "' into the Python that runs this, or install the CUDA toolkit. Tried:", tried);
}

void* Library::address(const char* name) const {
  void* p = dlsym(handle_, name);
  NORCH_CHECK(p, "CUDA: ", file_, " has no function ", name, "; another release of it is needed");
  return p;
}

}  // namespace norch::cuda
