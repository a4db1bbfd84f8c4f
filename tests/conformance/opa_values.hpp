// Compares JSON as OPA does: numbers by value, however long; objects by members.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/json_reference.hpp"

namespace notp::conformance {

// The same text for every form of a number: "1.0", "1" and "10e-1" become "1e0". Does not use
// doubles.
inline std::string number_by_value(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  long exponent = 0;
  if (const size_t at = text.find_first_of("eE"); at != std::string_view::npos) {
    exponent = std::strtol(std::string(text.substr(at + 1)).c_str(), nullptr, 10);
    text = text.substr(0, at);
  }
  std::string digits(text);
  if (const size_t point = digits.find('.'); point != std::string::npos) {
    exponent -= static_cast<long>(digits.size() - point - 1);
    digits.erase(point, 1);
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  while (digits.ends_with('0')) {
    digits.pop_back();
    ++exponent;
  }
  if (digits.empty()) return "0";
  return (negative ? "-" : "") + digits + "e" + std::to_string(exponent);
}

// The same text for all values that OPA treats as equal.
inline std::string by_value(const reference::Value& value);

inline std::vector<std::string> elements_by_value(const reference::Value& array) {
  std::vector<std::string> all;
  for (const auto& element : array.elements) all.push_back(by_value(*element));
  return all;
}

inline std::string joined(const std::vector<std::string>& parts) {
  std::string out = "[";
  for (const std::string& part : parts) out += part + ",";
  return out + "]";
}

inline std::string by_value(const reference::Value& value) {
  if (value.array) return joined(elements_by_value(value));
  if (value.object) {
    std::string out = "{";
    for (const auto& [name, member] : value.members)
      out += std::to_string(name.size()) + ":" + name + "=" + by_value(*member) + ",";
    return out + "}";
  }
  const bool is_number = !value.scalar.empty() &&
                         (value.scalar[0] == '-' || value.scalar[0] <= '9') &&
                         value.scalar[0] != '"';
  return is_number ? number_by_value(value.scalar)
                   : std::to_string(value.scalar.size()) + ":" + value.scalar;
}

// The same, with an array that stands for a set.
inline std::string set_by_value(const reference::Value& value) {
  if (!value.array) return by_value(value);
  auto elements = elements_by_value(value);
  std::ranges::sort(elements);
  return joined(elements);
}

}  // namespace notp::conformance
