// Paths of documents below data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace notp::pdp {

// "a/b/c" as segments; empty segments are left out.
std::vector<std::string> path_segments(std::string_view path);

// "data.shop.allow", "data.shop[\"app/tier\"]": a path as OPA writes a reference.
std::string reference_text(const std::vector<std::string>& path);

}  // namespace notp::pdp
