// Members of the JSON objects of this folder.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

namespace notp::txn {

// Empty: there is no such member, or it is not text.
inline std::string_view text_in(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

inline json::array json_texts(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

// Whether `aud` (RFC 7519 §4.1.3) is `audience`, or an array with it.
inline bool has_audience(const json::object& claims, std::string_view audience) {
  const json::value* aud = claims.if_contains("aud");
  if (aud == nullptr) return false;
  const auto is_it = [audience](const json::value& one) {
    return one.is_string() && one.get_string() == audience;
  };
  return aud->is_array() ? std::ranges::any_of(aud->get_array(), is_it) : is_it(*aud);
}

// Of ASCII letters.
inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::ranges::equal(a, b, {}, lower, lower);
}

inline bool is_within(const std::vector<std::string>& inner,
                      const std::vector<std::string>& outer) {
  return std::ranges::all_of(inner, [&outer](const std::string& one) {
    return std::ranges::find(outer, one) != outer.end();
  });
}

}  // namespace notp::txn
