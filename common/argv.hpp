// Arguments for exec and posix_spawn: pointers to the texts, and a null at the end.
#pragma once

#include <string>
#include <vector>

namespace notp {

// Points into `texts`, which must outlive the result unchanged.
inline std::vector<char*> argv_of(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace notp
