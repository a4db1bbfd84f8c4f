// For functions of the C library that a test replaces in its own program.
#pragma once

#include <dlfcn.h>
#include <unistd.h>

#include <string>

namespace notp {

// The function that would be called without the test.
template <typename Function>
Function* real_function(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// The path of an open file. Empty: it has none.
inline std::string path_of(int fd) {
  char path[512] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), path, sizeof path - 1);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

}  // namespace notp
