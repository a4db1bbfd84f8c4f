// Sizes for people.
#pragma once

#include <cstdint>
#include <string>

namespace notp {

// "812 B", "2.4 KB", "20.1 MB": powers of 1000.
std::string size_text(uint64_t bytes);

}  // namespace notp
