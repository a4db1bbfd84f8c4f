// Finds the strings and numbers of a JSON text, without parsing it.
#pragma once

#include <cstring>

#include "common/bytes.hpp"

namespace notp::audit {

// Appends the text of a JSON string, given between its quotation marks. Half a surrogate pair
// becomes U+FFFD, an unknown escape stays as it is.
void append_unescaped(Bytes& out, ByteView escaped);

// Calls `visit(text)` with each string, the names of members included, unescaped, and with the
// digits of each number, until it returns false. Any text is accepted; one that is not JSON has
// other tokens, the same ones each time. `scratch` is memory for unescaped strings.
template <typename Visit>
void visit_json_values(ByteView json, Bytes& scratch, Visit&& visit) {
  const char* at = json.data();
  const char* const end = at + json.size();
  const auto is_number = [](char c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
  };
  while (at != end) {
    if (*at == '"') {
      const char* const from = ++at;
      const auto left = static_cast<size_t>(end - at);
      const auto* quote = static_cast<const char*>(std::memchr(at, '"', left));
      const char* to = quote != nullptr ? quote : end;
      if (std::memchr(from, '\\', static_cast<size_t>(to - from)) == nullptr) {
        if (!visit(ByteView(from, static_cast<size_t>(to - from)))) return;
      } else {
        for (to = from; to != end && *to != '"'; ++to)
          if (*to == '\\' && to + 1 != end) ++to;
        scratch.clear();
        append_unescaped(scratch, {from, static_cast<size_t>(to - from)});
        if (!visit(ByteView(scratch))) return;
      }
      at = to == end ? end : to + 1;
    } else if ((*at >= '0' && *at <= '9') || *at == '-') {
      const char* const from = at++;
      while (at != end && is_number(*at)) ++at;
      if (!visit(ByteView(from, static_cast<size_t>(at - from)))) return;
    } else {
      ++at;
    }
  }
}

}  // namespace notp::audit
