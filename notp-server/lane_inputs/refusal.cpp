#include "notp-server/lane_inputs/refusal.hpp"

#include <algorithm>
#include <utility>

namespace notp::lane_inputs {
namespace {

constexpr const char* kRule = "rule";

}  // namespace

std::unexpected<Error> refuse(std::string_view rule, std::string message) {
  return std::unexpected(
      Error{ErrorCode::kMessage, std::move(message), {{kRule, std::string(rule)}}});
}

std::string_view rule_of(const Error& error) {
  const auto found =
      std::ranges::find(error.context, kRule, &std::pair<std::string, std::string>::first);
  return found == error.context.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace notp::lane_inputs
