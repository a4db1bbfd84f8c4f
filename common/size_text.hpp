// Sizes for people.
#pragma once

#include <cstdint>
#include <string>

namespace notp {

// "1.2 MB", in powers of 1000.
std::string size_text(uint64_t bytes);

}  // namespace notp
