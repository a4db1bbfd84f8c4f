#include "notp-server/audit/json_values.hpp"

#include <cstdint>
#include <optional>

namespace notp::audit {
namespace {

std::optional<uint32_t> hex4(ByteView text) {
  if (text.size() < 4) return std::nullopt;
  uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    value <<= 4;
    if (c >= '0' && c <= '9')
      value |= static_cast<uint32_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      value |= static_cast<uint32_t>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      value |= static_cast<uint32_t>(c - 'A' + 10);
    else
      return std::nullopt;
  }
  return value;
}

void append_utf8(Bytes& out, uint32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Appends the character of "uXXXX" at the front of `rest`, or of two that are a pair. Returns how
// many bytes it took; 0: there are no four digits.
size_t append_code_unit(Bytes& out, ByteView rest) {
  constexpr uint32_t kReplacement = 0xfffd;
  const auto first = hex4(rest.substr(1));
  if (!first) return 0;
  if (*first < 0xd800 || *first > 0xdfff) {
    append_utf8(out, *first);
    return 5;
  }
  if (*first < 0xdc00 && rest.substr(5).starts_with("\\u")) {
    const auto second = hex4(rest.substr(7));
    if (second && *second >= 0xdc00 && *second <= 0xdfff) {
      append_utf8(out, 0x10000 + ((*first - 0xd800) << 10) + (*second - 0xdc00));
      return 11;
    }
  }
  append_utf8(out, kReplacement);
  return 5;
}

}  // namespace

void append_unescaped(Bytes& out, ByteView escaped) {
  constexpr ByteView kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  while (!escaped.empty()) {
    const size_t plain = escaped.find('\\');
    out.append(escaped.substr(0, plain));
    if (plain == ByteView::npos) return;
    escaped.remove_prefix(plain + 1);
    if (escaped.empty()) {
      out += '\\';
      return;
    }
    size_t taken = 0;
    if (const size_t which = kEscapes.find(escaped[0]); which != ByteView::npos) {
      out += kMeanings[which];
      taken = 1;
    } else if (escaped[0] == 'u') {
      taken = append_code_unit(out, escaped);
    }
    if (taken == 0) out += '\\';
    escaped.remove_prefix(taken);
  }
}

}  // namespace notp::audit
