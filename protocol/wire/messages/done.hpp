#pragma once

#include <string_view>

namespace notp::wire {

// A response without content beside its code.
struct Done {
  static constexpr std::string_view kName = "Done";
};

}  // namespace notp::wire
