#pragma once

#include <string_view>

namespace notp::wire {

// A response that says no more than its code.
struct Done {
  static constexpr std::string_view kName = "Done";
};

}  // namespace notp::wire
