// Reading the texts of C2SP, line by line. Private to protocol/record.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/bytes.hpp"

namespace notp::record {

// Standard base64 in its one form.
inline std::optional<Bytes> strict_base64(std::string_view text) {
  auto bytes = from_base64(text);
  if (!bytes || to_base64(*bytes) != text) return std::nullopt;
  return *std::move(bytes);
}

// Takes a line off the front, without its end; nullopt when none ends.
inline std::optional<std::string_view> take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

// A number without a sign and without leading zeros.
inline std::optional<uint64_t> decimal(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || fmt::to_string(value) != text) return std::nullopt;
  return value;
}

}  // namespace notp::record
