#include "kernels/cuda/library.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <filesystem>
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

/// Where `file` lies: in one of the folders, or in the folder "lib" of one of their subfolders, as in NVIDIA's pip
/// packages.
std::vector<std::string> candidates(const std::vector<std::string>& folders, const std::string& file) {
  namespace fs = std::filesystem;
  std::vector<std::string> found;
  std::error_code ignored;
  for (const fs::path folder : folders) {
    if (fs::exists(folder / file, ignored)) found.push_back((folder / file).string());
    for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored)) {
      const fs::path path = entry->path() / "lib" / file;
      std::error_code absent;
      if (fs::exists(path, absent)) found.push_back(path.string());
    }
  }
  return found;
}

}  // namespace

void add_library_dir(const std::string& folder) {
  std::lock_guard<std::mutex> lock(g_mutex);
  if (std::find(folders().begin(), folders().end(), folder) == folders().end()) folders().push_back(folder);
}

Library::Library(const LibraryFile& which) : file_(which.file) {
  const char* file = which.file;
  // One copy per process: if another package has loaded this version already, it serves norch too.
  handle_ = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
  if (handle_) return;
  std::vector<std::string> places;
  {
    std::lock_guard<std::mutex> lock(g_mutex);
    places = folders();
  }
  std::string problems;
  auto open = [&](const std::string& path) {
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) problems += std::string("\n  ") + dlerror();
    return handle_ != nullptr;
  };
  for (const std::string& path : candidates(places, file))
    if (open(path)) return;
  if (open(file) || open(std::string("/usr/local/cuda/lib64/") + file)) return;
  NORCH_RAISE(Error, "CUDA: ", file, " can't be loaded. Install it with 'pip install ", which.package,
              "' into the Python that runs this, or install the CUDA toolkit. Tried:", problems);
}

std::string Library::path() const {
  link_map* map = nullptr;
  return dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 && map ? map->l_name : file_;
}

void* Library::address(const char* name) const {
  void* p = dlsym(handle_, name);
  NORCH_CHECK(p, "CUDA: ", file_, " has no function ", name, "; another release of it is needed");
  return p;
}

}  // namespace norch::cuda
