// Checks the structure of an encoded message before Protobuf parses it. Protobuf merges a singular
// field that comes twice, lets the last member of a oneof win, cuts a 64-bit varint down to 32
// bits, and allocates an object for every two bytes of an empty repeated message: each of these
// would let two readers see different messages, or a frame of 1 MiB take a hundred times its size.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/bytes.hpp"
#include "common/crypto/signature.hpp"
#include "common/limits.hpp"
#include "common/result.hpp"

namespace notp::wire {

enum class FieldKind : uint8_t { kBool, kUint32, kUint64, kBytes, kPackedUint32, kMessage };

struct Layout;

// One field of a message in schemas/notp.proto.
struct FieldRule {
  uint32_t number;
  FieldKind kind;
  size_t count_max = 1;
  size_t bytes_max = limits::kFrameBytesMax;
  const Layout* layout = nullptr;  // with kMessage; has static storage
};

struct Layout {
  std::string_view name;
  std::span<const FieldRule> fields;  // has static storage; at most kLayoutFieldsMax
  bool one_of = false;                // of its message fields, at most one may be present
};
inline constexpr size_t kLayoutFieldsMax = 32;

// kMessage when the wire type of a known field differs from its rule, it comes more often than
// allowed, or it is longer than its limit; when two members of a oneof are present; when a varint
// exceeds its type or is not in shortest form; or when there is a group or a cut field. Unknown
// fields are skipped, not parsed: a newer peer may send them.
Result<void> check_structure(const Layout& layout, ByteView payload);

// Rules by the content of a field.
namespace rules {

constexpr FieldRule u32(uint32_t number) { return {number, FieldKind::kUint32}; }
constexpr FieldRule u64(uint32_t number) { return {number, FieldKind::kUint64}; }
constexpr FieldRule flag(uint32_t number) { return {number, FieldKind::kBool}; }
constexpr FieldRule packed_u32(uint32_t number, size_t count_max) {
  constexpr size_t kVarint32BytesMax = 5;
  return {number, FieldKind::kPackedUint32, count_max, count_max * kVarint32BytesMax};
}
// `count_max` values of at most `bytes_max` bytes each.
constexpr FieldRule bytes(uint32_t number, size_t bytes_max, size_t count_max = 1) {
  return {number, FieldKind::kBytes, count_max, bytes_max};
}
constexpr FieldRule hash(uint32_t number, size_t count_max = 1) {
  return bytes(number, 32, count_max);
}
constexpr FieldRule text(uint32_t number) { return bytes(number, limits::kErrorTextBytesMax); }
constexpr FieldRule name(uint32_t number) { return bytes(number, limits::kNameBytesMax); }
constexpr FieldRule identity(uint32_t number) { return bytes(number, limits::kIdentityBytesMax); }
constexpr FieldRule envelope(uint32_t number, size_t count_max = 1) {
  return bytes(number, limits::kEnvelopeBytesMax, count_max);
}
constexpr FieldRule signature(uint32_t number) { return bytes(number, kSignatureBytes); }
constexpr FieldRule message(uint32_t number, const Layout& layout, size_t count_max = 1) {
  return {number, FieldKind::kMessage, count_max, limits::kFrameBytesMax, &layout};
}

}  // namespace rules
}  // namespace notp::wire
