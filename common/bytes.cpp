#include "common/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace notp {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::array<int8_t, 256> kBase64Values = [] {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  for (size_t i = 0; i < kBase64Digits.size(); ++i)
    values[static_cast<uint8_t>(kBase64Digits[i])] = static_cast<int8_t>(i);
  return values;
}();

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    return fail(ErrorCode::kMessage, "hexadecimal text has an odd number of digits");
  Bytes out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0)
      return fail(ErrorCode::kMessage, fmt::format("not a hexadecimal digit at position {}", i));
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < left ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      out.push_back(k <= left ? kBase64Digits[group >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  std::string digits;
  for (char c : text)
    if (c != '\n' && c != '\r' && c != ' ' && c != '\t') digits.push_back(c);
  if (digits.size() % 4 != 0) return fail(ErrorCode::kMessage, "base64 text is cut short");
  size_t padding = 0;
  while (padding < 2 && padding < digits.size() && digits[digits.size() - 1 - padding] == '=')
    ++padding;
  Bytes out;
  out.reserve(digits.size() / 4 * 3);
  uint32_t group = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool pad = i >= digits.size() - padding;
    const int value = pad ? 0 : kBase64Values[static_cast<uint8_t>(digits[i])];
    if (value < 0)
      return fail(ErrorCode::kMessage,
                  fmt::format("not base64: a foreign character at digit {}", i));
    group = group << 6 | static_cast<uint32_t>(value);
    if (i % 4 != 3) continue;
    for (int shift = 16; shift >= 0; shift -= 8) out.push_back(static_cast<char>(group >> shift));
    group = 0;
  }
  // Bits under the padding must be zero: one value has one encoding.
  for (size_t i = 0; i < padding; ++i) {
    if (out.back() != 0)
      return fail(ErrorCode::kMessage, "base64 text has stray bits under its padding");
    out.pop_back();
  }
  return out;
}

void put_varint(Bytes& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

Result<uint64_t> take_varint(ByteView& in) {
  uint64_t value = 0;
  for (size_t i = 0; i < 10; ++i) {
    if (i == in.size()) return fail(ErrorCode::kMessage, "a number is cut short");
    const auto byte = static_cast<uint8_t>(in[i]);
    if (i == 9 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte & 0x80) continue;
    if (i > 0 && byte == 0) return fail(ErrorCode::kMessage, "a number is not in shortest form");
    in.remove_prefix(i + 1);
    return value;
  }
  return fail(ErrorCode::kMessage, "a number is over 64 bits");
}

Result<ByteView> take_bytes(ByteView& in, uint64_t count) {
  if (count > in.size())
    return fail(ErrorCode::kMessage, fmt::format("{} bytes announced, {} left", count, in.size()));
  const ByteView out = in.substr(0, count);
  in.remove_prefix(count);
  return out;
}

size_t utf8_sequence_bytes(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  // The second byte is enough to detect overlong forms, surrogates and code points over U+10FFFF.
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return size;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = utf8_sequence_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string printable(std::string_view text, size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    const size_t size = utf8_sequence_bytes(text);
    const auto byte = static_cast<uint8_t>(text[0]);
    // U+0080 to U+009F are control characters too, and some terminals obey them.
    const bool control = byte < 0x20 || byte == 0x7f ||
                         (size == 2 && byte == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0);
    std::string shown;
    for (const char c : text.substr(0, std::max<size_t>(size, 1)))
      shown += size == 0 || control ? fmt::format("\\x{:02x}", static_cast<uint8_t>(c))
                                    : std::string(1, c);
    if (out.size() + shown.size() > bytes_max) return out + "…";
    out += shown;
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

}  // namespace notp
